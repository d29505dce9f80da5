using System.Text.Json;
using CsCheck;
using RabbitMQ.Client;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Hosting.RabbitMq.DeadLetters;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.RabbitMq;

public sealed class EnvelopeTests
{
    private static readonly DateTimeOffset At = DateTimeOffset.FromUnixTimeMilliseconds(1_790_000_000_123);

    private static readonly InferenceRequest Request = new()
    {
        Id = new RequestId("chatcmpl-000000000000000000000001"),
        Model = new ModelName("tiny"),
        Endpoint = EndpointName.Completions,
        Body = "{\"prompt\":\"é\"}"u8.ToArray(),
        PromptTokens = 10,
        MaxOutputTokens = 20,
        Choices = 2,
        Lane = Lane.Batch,
        Promise = Promise.Id,
        Owner = new Owner("acme", "search", "key-1"),
        Conversation = "talk",
        Seed = ulong.MaxValue,
        AcceptedAt = At,
        Deadline = At.AddMinutes(10),
        Holder = "gateway-0",
        Shape = new byte[] { 1, 2 },
    };

    [Fact]
    public void What_version_2_wrote_reads_as_it_was_meant()
    {
        var golden = File.ReadAllLines(Path.Combine(Repository.Root, "tests/Serverless.Tests/Records/version-2.txt")).Single(line => line.StartsWith("envelope: ", StringComparison.Ordinal))["envelope: ".Length..];

        var (read, fault, _) = Envelope.Unwrap(Properties(2), Convert.FromBase64String(golden), 1024);

        fault.ShouldBeNull($"as written now: {Convert.ToBase64String(Wrapped().Body)}");
        Show(read!).ShouldBe(Show(Request));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void What_is_written_is_read(int version)
    {
        var (properties, body) = Wrapped(version);

        Show(Envelope.Unwrap(properties, body, 1024).Request!).ShouldBe(Show(Request));
    }

    [Fact]
    public void Headers_stay_small_whatever_the_request_holds()
    {
        using var message = Envelope.Wrap(Request with { Shape = new byte[1_000_000] }, 2, int.MaxValue, At, out var fault);

        fault.ShouldBeNull();
        HeaderBounds.Check(message!.Properties).ShouldBeNull();
        HeaderBounds.Size(message.Properties).ShouldBeLessThan(400);
    }

    [Fact]
    public void Bytes_of_any_kind_are_a_fault_and_no_exception()
    {
        var wrapped = Wrapped().Body;
        Gen.Select(Gen.Int[0, 3], Gen.Byte.Array[0, 64], Gen.Int[0, wrapped.Length], Gen.Byte).Sample(
            (version, noise, at, value) =>
            {
                byte[] damaged = [.. wrapped[..at], value, .. noise];
                foreach (var body in new[] { noise, damaged })
                {
                    var read = Envelope.Unwrap(Properties(version, damaged), body, 1024);
                    (read.Request is null).ShouldBe(read.Fault is not null);
                    LetterEnvelope.Open(Properties(version, damaged), body, withBody: true).Bytes.ShouldBeLessThanOrEqualTo(body.Length);
                }
            },
            iter: 5000);
    }

    [Fact]
    public void A_dead_letter_keeps_of_its_headers_what_fits_into_one_frame()
    {
        Gen.Select(Gen.Int[0, 200_000], Gen.Int[0, 200_000], Gen.Int[0, 300]).Sample(
            (record, reason, model) =>
            {
                var properties = Properties(1, new byte[record]);
                properties.Headers![Envelope.ModelHeader] = new string('m', model);
                properties.Headers["foreign"] = new string('x', 100_000);

                var letter = LetterEnvelope.Seal(properties, "queue", new ServingFault(ServingError.Poisoned, new string('é', reason)), 3, At);

                HeaderBounds.Check(letter).ShouldBeNull();
                LetterEnvelope.Open(letter, default, withBody: true).Reason.Error.ShouldBe(ServingError.Poisoned);
            },
            iter: 200);
    }

    [Fact]
    public void Properties_that_a_broker_would_drop_the_connection_over_are_refused()
    {
        var large = Properties(2);
        large.Headers!["more"] = new string('x', HeaderBounds.MaxBytes);
        HeaderBounds.Check(large).ShouldNotBeNull().Message.ShouldContain($"{HeaderBounds.MaxBytes}");

        var table = Properties(2);
        table.Headers!["table"] = new List<object?> { 1 };
        HeaderBounds.Check(table).ShouldNotBeNull();

        HeaderBounds.Check(new BasicProperties { MessageId = new string('x', 256) }).ShouldNotBeNull().Message.ShouldContain("256");
    }

    private static (BasicProperties Properties, byte[] Body) Wrapped(int version = 2)
    {
        using var message = Envelope.Wrap(Request, version, 1024, At, out _)!;
        return (message.Properties, message.Body.ToArray());
    }

    private static BasicProperties Properties(int version, byte[]? record = null)
    {
        var properties = new BasicProperties { MessageId = "id", Headers = new Dictionary<string, object?>(StringComparer.Ordinal) { [Envelope.VersionHeader] = version } };
        if (record is not null) properties.Headers[Envelope.RecordHeader] = record;
        return properties;
    }

    private static string Show(InferenceRequest request) => JsonSerializer.Serialize(request);
}
