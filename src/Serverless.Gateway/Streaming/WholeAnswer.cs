using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

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
