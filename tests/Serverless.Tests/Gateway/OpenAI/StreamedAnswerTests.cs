using Microsoft.AspNetCore.Http;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Streaming;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.OpenAI;

public sealed class StreamedAnswerTests
{
    [Fact]
    public async Task What_is_replayed_is_sent_in_pieces_and_never_gathered()
    {
        var http = new DefaultHttpContext();
        http.Response.Body = new MemoryStream();
        var shape = new AnswerShape { Id = new RequestId("chatcmpl-1"), Endpoint = EndpointName.ChatCompletions, Model = "m", Created = 1, ServiceTier = "default", SystemFingerprint = "fp", Choices = 1 };
        using var answer = new StreamedAnswer(http, shape, default, () => "", TimeProvider.System, TimeSpan.FromSeconds(5));

        var (most, text) = (0L, new string('x', 1000));
        for (var i = 0; i < 1000; i++)
        {
            answer.TryAppend(i + 1, new RequestEvent.Chunk([new ChoiceChunk(0, i, [i], text)])).ShouldBeTrue();
            most = Math.Max(most, http.Response.BodyWriter.UnflushedBytes);
            if (answer.IsFull) await answer.FlushAsync(CancellationToken.None);
        }

        most.ShouldBeLessThan(80 * 1024);
        http.Response.Body.Length.ShouldBeGreaterThan(900 * 1000);
    }
}
