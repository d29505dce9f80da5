using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

/// <summary>An answer on its way to a client: as a stream, or in one piece. Called by one flow, one call at a time.</summary>
internal interface IAnswer : IDisposable
{
    /// <summary>Renders output. False if it does not follow what came before: the answer is then broken.</summary>
    bool TryAppend(long sequence, RequestEvent.Chunk chunk);

    /// <summary>Whether so much is rendered that it should be sent, for the sake of memory.</summary>
    bool IsFull { get; }

    /// <summary>Sends what is rendered and not yet sent, if this kind of answer sends before its end.</summary>
    ValueTask FlushAsync(CancellationToken cancellationToken);

    /// <summary>Tells the client what it waits for, if this kind of answer can: the queue, or, where <paramref name="outage"/> says so, a store.</summary>
    ValueTask NoticeAsync(string? outage, CancellationToken cancellationToken);

    /// <summary>Sends the rest: the answer is whole.</summary>
    ValueTask FinishAsync(long sequence, TokenUsage usage, CancellationToken cancellationToken);

    /// <summary>Sends a failure. Where part of the answer has gone out, the connection ends with it.</summary>
    ValueTask FailAsync(ServingFault fault, CancellationToken cancellationToken);
}
