using System.Globalization;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using RabbitMQ.Client;
using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// A request as a message: the body is the client's JSON as it came; the headers hold the envelope's version, what people want to read (id, model), and the record of
/// records.proto with everything. A field that a later release adds to the record is not read here, and does no harm; a change that older releases must not read raises the version.
/// </summary>
internal static class Envelope
{
    public const int Version = 1;

    public const string VersionHeader = "serverless-version";
    public const string ModelHeader = "serverless-model";
    public const string RecordHeader = "serverless-record";
    public const string ReasonHeader = "serverless-reason";
    public const string ErrorHeader = "serverless-last-error";
    public const string AttemptsHeader = "serverless-attempts";
    public const string QueueHeader = "serverless-queue";
    public const string AtHeader = "serverless-dead-at";

    /// <summary>Properties of a request's message. One that a connection promises lives in memory until its deadline; one that an id promises is on disk, until it is answered.</summary>
    public static BasicProperties Wrap(InferenceRequest request, DateTimeOffset now)
    {
        var properties = new BasicProperties
        {
            MessageId = request.Id.Value,
            ContentType = "application/json",
            Type = "serverless.request",
            Timestamp = new AmqpTimestamp(request.AcceptedAt.ToUnixTimeSeconds()),
            Persistent = request.Promise == Promise.Id,
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                [VersionHeader] = Version,
                [ModelHeader] = request.Model.Value,
                [RecordHeader] = RequestCodec.ToRecord(request).ToByteArray(),
            },
        };
        if (request.Promise == Promise.Connection) properties.Expiration = Math.Max(0, (long)(request.Deadline - now).TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        return properties;
    }

    /// <summary>Reads a message; <paramref name="body"/> becomes the request's own. Null with a fault that names what is wrong.</summary>
    public static InferenceRequest? Unwrap(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body, int maxBytes, out ServingFault? fault)
    {
        fault = null;
        if (body.Length > maxBytes) fault = Malformed($"The message has {body.Length} bytes and {maxBytes} are taken (RabbitMq:MaxMessageBytes); shorten it.");
        else if (Header(properties, VersionHeader) is not { } version) fault = Malformed($"The message has no header '{VersionHeader}'; requests are published by gateways, not by hand.");
        else if (Number(version) is not Version) fault = Malformed($"The message's '{VersionHeader}' is {Show(version)} and this release reads {Version}; finish the roll-out, then redrive it.");
        else if (Header(properties, RecordHeader) is not byte[] record) fault = Malformed($"The message has no header '{RecordHeader}' of bytes.");
        else if (!IsJson(body.Span)) fault = Malformed($"The message's body of {body.Length} bytes is not JSON.");
        else return ReadRecord(record, body, out fault);
        return null;
    }

    /// <summary>Properties of a dead letter: those the message came with, and why it was given up.</summary>
    public static BasicProperties Bury(IReadOnlyBasicProperties original, string queue, ServingFault reason, int attempts, DateTimeOffset now)
    {
        var properties = new BasicProperties(original) { Persistent = true, Headers = new Dictionary<string, object?>(original.Headers ?? new Dictionary<string, object?>(), StringComparer.Ordinal) };
        properties.ClearExpiration();
        properties.Headers.Remove(Constants.PublishSequenceNumberHeader);
        properties.Headers[ReasonHeader] = reason.Error.ToString();
        properties.Headers[ErrorHeader] = reason.Message;
        properties.Headers[AttemptsHeader] = attempts;
        properties.Headers[QueueHeader] = queue;
        properties.Headers[AtHeader] = now.ToUnixTimeMilliseconds();
        if (string.IsNullOrEmpty(properties.MessageId)) properties.MessageId = $"dead-{Guid.NewGuid():n}";
        return properties;
    }

    /// <summary>Reads a dead letter, whatever it holds.</summary>
    public static DeadLetter Exhume(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body)
    {
        var request = Unwrap(properties, body, int.MaxValue, out _);
        var error = Enum.TryParse<ServingError>(Text(Header(properties, ReasonHeader)), out var known) ? known : ServingError.Internal;
        return new DeadLetter(
            properties.MessageId ?? "",
            new ServingFault(error, Text(Header(properties, ErrorHeader))),
            (int)(Number(Header(properties, AttemptsHeader)) ?? 0),
            DateTimeOffset.FromUnixTimeMilliseconds(Number(Header(properties, AtHeader)) ?? 0),
            request,
            body);
    }

    public static string Text(object? header) => header switch
    {
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        null => "",
        _ => Convert.ToString(header, CultureInfo.InvariantCulture) ?? "",
    };

    private static InferenceRequest? ReadRecord(byte[] record, ReadOnlyMemory<byte> body, out ServingFault? fault)
    {
        fault = null;
        try
        {
            return RequestCodec.FromRecord(Records.Wire.RequestRecord.Parser.ParseFrom(record), body);
        }
        catch (Exception exception) when (exception is InvalidProtocolBufferException or InvalidDataException or ArgumentOutOfRangeException)
        {
            fault = Malformed($"The message's '{RecordHeader}' cannot be read: {exception.Message}");
            return null;
        }
    }

    private static bool IsJson(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 128 });
            while (reader.Read())
            {
            }

            return body.Length > 0;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static object? Header(IReadOnlyBasicProperties properties, string name) => properties.Headers is { } headers && headers.TryGetValue(name, out var value) ? value : null;

    private static long? Number(object? header) => header switch
    {
        int number => number,
        long number => number,
        short number => number,
        byte number => number,
        _ => null,
    };

    private static string Show(object header) => Text(header) is { Length: <= 40 } text ? $"'{text}'" : "a long text";

    private static ServingFault Malformed(string message) => new(ServingError.MalformedMessage, message);
}
