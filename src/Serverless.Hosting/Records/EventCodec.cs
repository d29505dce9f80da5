using Google.Protobuf;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.Records;

/// <summary>Events of a request's log as compact records: a tenth of the OpenAI chunks they are rendered to. A record of a later release reads as far as it is known.</summary>
internal static class EventCodec
{
    public static byte[] Encode(RequestEvent logged) => ToRecord(logged).ToByteArray();

    /// <exception cref="InvalidDataException">It is no event record, or one of a kind this release does not know.</exception>
    public static RequestEvent Decode(ReadOnlyMemory<byte> bytes)
    {
        Wire.EventRecord record;
        try
        {
            record = Wire.EventRecord.Parser.ParseFrom(bytes.Span);
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new InvalidDataException($"The log holds a record of {bytes.Length} bytes that is no event: {exception.Message}", exception);
        }

        return FromRecord(record);
    }

    /// <summary>Events one after the other, each with its length before it.</summary>
    public static byte[] EncodeAll(IEnumerable<RequestEvent> events)
    {
        using var bytes = new MemoryStream();
        foreach (var logged in events) ToRecord(logged).WriteDelimitedTo(bytes);
        return bytes.ToArray();
    }

    /// <exception cref="InvalidDataException">One of them is no event record, or of a kind this release does not know.</exception>
    public static IReadOnlyList<RequestEvent> DecodeAll(byte[] bytes)
    {
        try
        {
            using var stream = new MemoryStream(bytes);
            var events = new List<RequestEvent>();
            while (stream.Position < stream.Length) events.Add(FromRecord(Wire.EventRecord.Parser.ParseDelimitedFrom(stream)));
            return events;
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new InvalidDataException($"The log holds {bytes.Length} bytes that are no events: {exception.Message}", exception);
        }
    }

    public static Wire.ChoiceChunk ToRecord(ChoiceChunk chunk)
    {
        var record = new Wire.ChoiceChunk
        {
            Choice = chunk.Choice,
            Position = chunk.Position,
            Text = chunk.Text,
            HeldBack = chunk.HeldBack.IsEmpty ? ByteString.Empty : ByteString.CopyFrom(chunk.HeldBack.Span),
            Finish = chunk.Finish switch { FinishReason.Stop => 1, FinishReason.Length => 2, _ => 0 },
        };
        record.TokenIds.AddRange(chunk.TokenIds);
        record.LogProbs.AddRange(chunk.LogProbs.Select(ToRecord));
        return record;
    }

    public static ChoiceChunk FromRecord(Wire.ChoiceChunk record) => new(record.Choice, record.Position, [.. record.TokenIds], record.Text)
    {
        HeldBack = record.HeldBack.Memory,
        LogProbs = record.LogProbs.Count == 0 ? [] : [.. record.LogProbs.Select(FromRecord)],
        Finish = record.Finish switch { 1 => FinishReason.Stop, 2 => FinishReason.Length, _ => null },
    };

    public static Wire.Fault ToRecord(ServingFault fault) => new()
    {
        Error = fault.Error.ToString(),
        Message = fault.Message,
        Param = fault.Param ?? "",
        Code = fault.Code ?? "",
        RetryAfterMs = (long)(fault.RetryAfter?.TotalMilliseconds ?? 0),
    };

    public static ServingFault FromRecord(Wire.Fault record) => new(
        Enum.TryParse<ServingError>(record.Error, out var error) && Enum.IsDefined(error) ? error : ServingError.Internal,
        record.Message,
        record.Param.Length > 0 ? record.Param : null,
        record.Code.Length > 0 ? record.Code : null,
        record.RetryAfterMs > 0 ? TimeSpan.FromMilliseconds(record.RetryAfterMs) : null);

    private static Wire.EventRecord ToRecord(RequestEvent logged)
    {
        switch (logged)
        {
            case RequestEvent.Accepted accepted:
                return new Wire.EventRecord { Accepted = new Wire.EventRecord.Types.Accepted { AtUnixMs = accepted.At.ToUnixTimeMilliseconds() } };
            case RequestEvent.Started started:
                return new Wire.EventRecord { Started = new Wire.EventRecord.Types.Started { Attempt = started.Attempt, Replica = started.Replica, AtUnixMs = started.At.ToUnixTimeMilliseconds() } };
            case RequestEvent.Chunk chunk:
                var chunks = new Wire.EventRecord.Types.Chunk();
                chunks.Choices.AddRange(chunk.Choices.Select(ToRecord));
                return new Wire.EventRecord { Chunk = chunks };
            case RequestEvent.Finished finished:
                return new Wire.EventRecord
                {
                    Finished = new Wire.Usage { PromptTokens = finished.Usage.PromptTokens, CompletionTokens = finished.Usage.CompletionTokens, CachedTokens = finished.Usage.CachedTokens },
                };
            case RequestEvent.Failed failed:
                return new Wire.EventRecord { Failed = ToRecord(failed.Fault) };
            case RequestEvent.Cancelled cancelled:
                return new Wire.EventRecord { Cancelled = new Wire.EventRecord.Types.Cancelled { Reason = cancelled.Reason } };
            default:
                throw new ArgumentOutOfRangeException(nameof(logged), logged, "Give this event its record in EventCodec.");
        }
    }

    private static RequestEvent FromRecord(Wire.EventRecord record) => record.KindCase switch
    {
        Wire.EventRecord.KindOneofCase.Accepted => new RequestEvent.Accepted(DateTimeOffset.FromUnixTimeMilliseconds(record.Accepted.AtUnixMs)),
        Wire.EventRecord.KindOneofCase.Started => new RequestEvent.Started(record.Started.Attempt, record.Started.Replica, DateTimeOffset.FromUnixTimeMilliseconds(record.Started.AtUnixMs)),
        Wire.EventRecord.KindOneofCase.Chunk => new RequestEvent.Chunk([.. record.Chunk.Choices.Select(FromRecord)]),
        Wire.EventRecord.KindOneofCase.Finished => new RequestEvent.Finished(new TokenUsage(record.Finished.PromptTokens, record.Finished.CompletionTokens, record.Finished.CachedTokens)),
        Wire.EventRecord.KindOneofCase.Failed => new RequestEvent.Failed(FromRecord(record.Failed)),
        Wire.EventRecord.KindOneofCase.Cancelled => new RequestEvent.Cancelled(record.Cancelled.Reason),
        _ => throw new InvalidDataException("The log holds an event of a kind that this release does not know; finish the roll-out."),
    };

    private static Wire.TokenLogProb ToRecord(TokenLogProb token)
    {
        var record = new Wire.TokenLogProb { TokenId = token.TokenId, Bytes = ByteString.CopyFrom(token.Bytes.Span), LogProb = token.LogProb };
        record.Top.AddRange(token.Top.Select(ToRecord));
        return record;
    }

    private static TokenLogProb FromRecord(Wire.TokenLogProb record) =>
        new(record.TokenId, record.Bytes.Memory, record.LogProb, record.Top.Count == 0 ? [] : [.. record.Top.Select(FromRecord)]);
}
