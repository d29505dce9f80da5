using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using RabbitMQ.Client;
using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Messages;

/// <summary>
/// A request as a message. Version 2: the body is the record of records.proto, its length before it as protobuf writes one, and then the client's JSON as it came; the headers hold the
/// envelope's version and what people want to read (id, model). Version 1 had the record in a header, which a broker bounds. Both are read. A field that a later release adds to the record is
/// not read here, and does no harm; a change that older releases must not read raises the version.
/// </summary>
internal static class Envelope
{
    /// <summary>What this release knows.</summary>
    public const int Latest = 2;

    /// <summary>A longer record (the shape of an answer that repeats its prompts) is refused.</summary>
    public const int MaxRecordBytes = 4 * 1024 * 1024;

    /// <summary>The largest record of version 1: in a header, beside the others.</summary>
    public const int MaxHeaderRecordBytes = 2048;

    public const string VersionHeader = "serverless-version";
    public const string ModelHeader = "serverless-model";
    public const string RecordHeader = "serverless-record";

    private const int MaxDepth = 128;

    /// <summary>
    /// Writes a request down. What a connection promises lives in the broker's memory until its deadline; what an id promises is on disk, until it is answered. A fault: no envelope
    /// holds it.
    /// </summary>
    public static OutgoingMessage? Wrap(InferenceRequest request, int version, int maxBytes, DateTimeOffset now, out ServingFault? fault)
    {
        var record = RequestCodec.ToRecord(request);
        var size = record.CalculateSize();
        fault = Refusal(request, size, version, maxBytes);
        if (fault is not null) return null;

        var properties = new BasicProperties
        {
            MessageId = request.Id.Value,
            ContentType = version == 1 ? "application/json" : "application/vnd.serverless.request",
            Type = "serverless.request",
            Timestamp = new AmqpTimestamp(request.AcceptedAt.ToUnixTimeSeconds()),
            Persistent = request.Promise == Promise.Id,
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal) { [VersionHeader] = version, [ModelHeader] = request.Model.Value },
        };
        if (version == 1) properties.Headers[RecordHeader] = record.ToByteArray();
        if (request.Promise == Promise.Connection) properties.Expiration = Math.Max(0, (long)(request.Deadline - now).TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        return version == 1 ? OutgoingMessage.Of(properties, request.Body) : OutgoingMessage.Of(properties, record, size, request.Body);
    }

    /// <summary>Reads a message; its JSON becomes the request's own.</summary>
    public static EnvelopeContent Unwrap(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body, int maxBytes)
    {
        if (body.Length > maxBytes) return Malformed($"The message has {body.Length} bytes and {maxBytes} are taken (RabbitMq:MaxMessageBytes); shorten it.");

        var version = HeaderValues.Find(properties, VersionHeader);
        return HeaderValues.Number(version) switch
        {
            1 => UnwrapHeader(properties, body),
            2 => UnwrapBody(body),
            > Latest and var later => new EnvelopeContent(null, new ServingFault(ServingError.MalformedMessage, $"The message's '{VersionHeader}' is {later} and this release reads up to {Latest}; a later release reads it."), IsLater: true),
            _ when version is null => Malformed($"The message has no header '{VersionHeader}'; requests are published by gateways, not by hand."),
            _ => Malformed($"The message's '{VersionHeader}' is {HeaderValues.Show(version)} and this release reads 1 to {Latest}."),
        };
    }

    private static ServingFault? Refusal(InferenceRequest request, int recordBytes, int version, int maxBytes)
    {
        var bound = version == 1 ? MaxHeaderRecordBytes : MaxRecordBytes;
        if (recordBytes > bound)
        {
            return new ServingFault(ServingError.BodyTooLarge, $"What is kept beside the request's body (echoed prompts, for the most part) has {recordBytes} bytes and may have {bound}; shorten the prompts, or leave 'echo' out.", "echo");
        }

        var whole = (long)request.Body.Length + (version == 1 ? 0 : recordBytes + CodedOutputStream.ComputeLengthSize(recordBytes));
        return whole <= maxBytes ? null : new ServingFault(ServingError.BodyTooLarge, $"The request has {whole} bytes as a message and the broker takes {maxBytes} (RabbitMq:MaxMessageBytes); shorten it.");
    }

    private static EnvelopeContent UnwrapHeader(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body) => HeaderValues.Find(properties, RecordHeader) is byte[] record
        ? Read(record, body)
        : Malformed($"The message has no header '{RecordHeader}' of bytes.");

    private static EnvelopeContent UnwrapBody(ReadOnlyMemory<byte> body)
    {
        var length = 0u;
        for (var at = 0; at < Math.Min(body.Length, 5); at++)
        {
            var next = body.Span[at];
            length |= (uint)(next & 0x7F) << (7 * at);
            if ((next & 0x80) != 0) continue;

            var rest = body[(at + 1)..];
            return length <= rest.Length && length <= MaxRecordBytes
                ? Read(rest[..(int)length], rest[(int)length..])
                : Malformed($"The message's record should have {length} bytes, and {rest.Length} are there, of which it may have {MaxRecordBytes}.");
        }

        return Malformed($"The message's body of {body.Length} bytes does not begin with the length of a record.");
    }

    private static EnvelopeContent Read(ReadOnlyMemory<byte> record, ReadOnlyMemory<byte> json)
    {
        if (!IsJson(json.Span)) return Malformed($"The request's body of {json.Length} bytes is not JSON.");
        if (RequestCodec.TryDecode(record, json, out var request, out var reason)) return new EnvelopeContent(request, null);
        return Malformed($"The message's record cannot be read. {reason}") with { IsLater = reason.IsLater };
    }

    private static bool IsJson(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
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

    private static EnvelopeContent Malformed(string message) => new(null, new ServingFault(ServingError.MalformedMessage, message));
}

/// <summary>What a message turned out to hold.</summary>
/// <param name="Request">The request; null: none that can be read.</param>
/// <param name="Fault">Why not.</param>
/// <param name="IsLater">It is a later release's: not understood here, and no fault of the message's.</param>
internal readonly record struct EnvelopeContent(InferenceRequest? Request, ServingFault? Fault, bool IsLater = false);

/// <summary>A message ready to be published; its memory is given back with it, once nobody reads it any more.</summary>
internal sealed class OutgoingMessage : IDisposable
{
    private readonly byte[]? _rented;

    private OutgoingMessage(BasicProperties properties, ReadOnlyMemory<byte> body, byte[]? rented) => (Properties, Body, _rented) = (properties, body, rented);

    public BasicProperties Properties { get; }

    public ReadOnlyMemory<byte> Body { get; }

    public static OutgoingMessage Of(BasicProperties properties, ReadOnlyMemory<byte> body) => new(properties, body, null);

    /// <summary>The record, its length before it, then the JSON.</summary>
    public static OutgoingMessage Of(BasicProperties properties, IMessage record, int recordBytes, ReadOnlyMemory<byte> json)
    {
        var prefix = CodedOutputStream.ComputeLengthSize(recordBytes);
        var length = prefix + recordBytes + json.Length;
        var rented = ArrayPool<byte>.Shared.Rent(length);
        var left = (uint)recordBytes;
        for (var at = 0; at < prefix; at++, left >>= 7) rented[at] = (byte)(at == prefix - 1 ? left : (left & 0x7F) | 0x80);
        record.WriteTo(rented.AsSpan(prefix, recordBytes));
        json.CopyTo(rented.AsMemory(prefix + recordBytes));
        return new OutgoingMessage(properties, rented.AsMemory(0, length), rented);
    }

    public void Dispose()
    {
        if (_rented is not null) ArrayPool<byte>.Shared.Return(_rented);
    }
}
