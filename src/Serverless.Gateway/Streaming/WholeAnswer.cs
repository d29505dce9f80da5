using System.Buffers;
using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

/// <summary>An answer in one piece: kept until its end, so that it has a length and, if it fails, a status of its own.</summary>
internal sealed class WholeAnswer(HttpContext http, AnswerShape shape) : IAnswer
{
    private readonly Choices _choices = new(shape.Choices);

    public bool TryAppend(long sequence, RequestEvent.Chunk chunk)
    {
        foreach (var part in chunk.Choices)
        {
            if (_choices.Find(part.Choice) is not { } choice || !choice.TryAdvance(part)) return false;
            choice.Keep(part);
        }

        return true;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask NoticeAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public async ValueTask FinishAsync(long sequence, TokenUsage usage, CancellationToken cancellationToken)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        using (var writer = new AnswerWriter(shape, body)) writer.WriteWhole(_choices.All(), usage);

        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.WrittenCount;
        await http.Response.Body.WriteAsync(body.WrittenMemory, cancellationToken);
    }

    public async ValueTask FailAsync(ServingFault fault, CancellationToken cancellationToken) => await ErrorBody.SendAsync(http, fault, cancellationToken);

    public void Dispose()
    {
    }
}
