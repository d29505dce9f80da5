using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
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

/// <summary>An answer in one piece: kept until its end, so that it has a length and, if it fails, a status of its own.</summary>
internal sealed class WholeAnswer(HttpContext http, AnswerShape shape) : IAnswer
{
    private readonly WholeOutput _output = new(shape);

    public bool IsFull => false;

    public bool TryAppend(long sequence, RequestEvent.Chunk chunk) => _output.TryAppend(sequence, chunk);

    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask NoticeAsync(string? outage, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask FinishAsync(long sequence, TokenUsage usage, CancellationToken cancellationToken)
    {
        await JsonAnswer.SendAsync(http, _output.Encode(usage), cancellationToken);
    }

    public async ValueTask FailAsync(ServingFault fault, CancellationToken cancellationToken) => await ErrorBody.SendAsync(http, fault, cancellationToken);

    public void Dispose()
    {
    }
}
