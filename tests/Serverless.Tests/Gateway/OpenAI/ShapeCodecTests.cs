using System.Text.Json;
using CsCheck;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.OpenAI;

public sealed class ShapeCodecTests
{
    private static readonly RequestId Id = new("cmpl-1");

    private static readonly Gen<AnswerShape> Shapes = Gen.Select(Gen.Bool, Gen.String, Gen.Long, Gen.Int[1, 128], Gen.Int[0, 20], Gen.Bool, Gen.Int[0, 60], Gen.String.Array[0, 3]).Select(
        (chat, text, created, choices, top, flag, resume, echo) => new AnswerShape
        {
            Id = Id,
            Endpoint = chat ? EndpointName.ChatCompletions : EndpointName.Completions,
            Model = Clean(text),
            Created = created,
            ServiceTier = "flex",
            SystemFingerprint = "fp",
            Choices = Math.Max(choices, echo.Length),
            LogProbs = flag,
            TopLogProbs = top,
            IncludeUsage = !flag,
            Stream = flag ^ chat,
            Resume = TimeSpan.FromSeconds(resume),
            Echo = [.. echo.Select(Clean)],
        });

    [Fact]
    public void What_is_written_is_read() => Shapes.Sample(shape => JsonSerializer.Serialize(ShapeCodec.Decode(Id, ShapeCodec.Encode(shape))).ShouldBe(JsonSerializer.Serialize(shape)));

    [Fact]
    public void The_next_release_may_add_fields_and_rubbish_is_no_shape()
    {
        Shapes.Sample(shape => ShapeCodec.Decode(Id, (byte[])[.. ShapeCodec.Encode(shape), 1, 2, 3]).ShouldNotBeNull());
        Gen.Byte.Array[0, 200].Sample(bytes => Should.NotThrow(() => ShapeCodec.Decode(Id, bytes)));
        ShapeCodec.Decode(Id, default).ShouldBeNull();
    }

    [Fact]
    public void Shapes_of_the_release_before_and_of_endpoints_to_come_are_read()
    {
        // Version 1, a completion of one choice of model "m", as it was written before endpoints had names.
        ShapeCodec.Decode(Id, (byte[])[1, 1, 1, (byte)'m', 5, 0, 0, 1, 0, 0, 0])!.Endpoint.ShouldBe(EndpointName.Completions);

        var later = new AnswerShape { Id = Id, Endpoint = new EndpointName("responses"), Model = "m", Created = 5, ServiceTier = "", SystemFingerprint = "", Choices = 1 };
        var read = ShapeCodec.Decode(Id, ShapeCodec.Encode(later))!;
        read.Endpoint.Value.ShouldBe("responses");
        Should.Throw<ServingException>(read.RequireApi).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
    }

    /// <summary>Text as UTF-8 holds it: no lone surrogates.</summary>
    private static string Clean(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));
}
