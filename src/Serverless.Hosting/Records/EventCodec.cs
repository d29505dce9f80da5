using Google.Protobuf;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.Records;

/// <summary>Events of a request's log as compact records: a tenth of the OpenAI chunks they are rendered to. A record of a later release reads as far as it is known.</summary>
internal static class EventCodec
{
    public static byte[] Encode(RequestEvent logged) => ToRecord(logged).ToByteArray();

    /// <summary>An entry; <see cref="RequestEvent.Unknown"/> where this release cannot read it.</summary>
    public static RequestEvent Decode(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return FromRecord(Wire.EventRecord.Parser.ParseFrom(bytes.Span));
        }
        catch (Exception exception) when (exception is InvalidProtocolBufferException or ArgumentOutOfRangeException)
        {
            return new RequestEvent.Unknown($"{bytes.Length} bytes that are no event: {exception.Message}");
        }
    }

    /// <summary>Events one after the other, each with its length before it.</summary>
    public static byte[] EncodeAll(IEnumerable<RequestEvent> events)
    {
        using var bytes = new MemoryStream();
        foreach (var logged in events) ToRecord(logged).WriteDelimitedTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>The entries; the last is <see cref="RequestEvent.Unknown"/> where what follows cannot be read.</summary>
    public static IReadOnlyList<RequestEvent> DecodeAll(byte[] bytes)
    {
        var events = new List<RequestEvent>();
        using var stream = new MemoryStream(bytes);
        try
        {
            while (stream.Position < stream.Length) events.Add(FromRecord(Wire.EventRecord.Parser.ParseDelimitedFrom(stream)));
        }
        catch (Exception exception) when (exception is InvalidProtocolBufferException or ArgumentOutOfRangeException)
        {
            events.Add(new RequestEvent.Unknown($"{bytes.Length} bytes that hold more than events: {exception.Message}"));
        }

        return events;
    }

    public static Wire.ChoiceChunk ToRecord(ChoiceChunk chunk)
    {
        var record = new Wire.ChoiceChunk
        {
            Choice = chunk.Choice,
            Position = chunk.Position,
            Text = chunk.Text,
            HeldBack = chunk.HeldBack.IsEmpty ? ByteString.Empty : ByteString.CopyFrom(chunk.HeldBack.Span),
            Finish = chunk.Finish is not { } reason ? 0 : reason == FinishReason.Length ? 2 : 1,
            FinishReason = chunk.Finish is { } other && other != FinishReason.Stop && other != FinishReason.Length ? other.Value : "",
            Reasoning = chunk.Reasoning,
        };
        record.TokenIds.AddRange(chunk.TokenIds);
        record.LogProbs.AddRange(chunk.LogProbs.Select(ToRecord));
        record.ToolCalls.AddRange(chunk.ToolCalls.Select(call => new Wire.ChoiceChunk.Types.ToolCall { Index = call.Index, Id = call.Id, Name = call.Name, Arguments = call.Arguments }));
        return record;
    }

    public static ChoiceChunk FromRecord(Wire.ChoiceChunk record) => new(record.Choice, record.Position, [.. record.TokenIds], record.Text)
    {
        HeldBack = record.HeldBack.Memory,
        LogProbs = record.LogProbs.Count == 0 ? [] : [.. record.LogProbs.Select(FromRecord)],
        Reasoning = record.Reasoning,
        ToolCalls = record.ToolCalls.Count == 0 ? [] : [.. record.ToolCalls.Select(call => new ToolCallFragment(call.Index, call.Id, call.Name, call.Arguments))],
        Finish = record.FinishReason.Length > 0 ? new FinishReason(record.FinishReason) : record.Finish switch { 1 => FinishReason.Stop, 2 => FinishReason.Length, _ => null },
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
                return new Wire.EventRecord { Finished = ToRecord(finished.Usage) };
            case RequestEvent.Failed failed:
                var fault = ToRecord(failed.Fault);
                fault.Usage = ToRecord(failed.Usage);
                return new Wire.EventRecord { Failed = fault };
            case RequestEvent.Cancelled cancelled:
                return new Wire.EventRecord { Cancelled = new Wire.EventRecord.Types.Cancelled { Reason = cancelled.Reason, Usage = ToRecord(cancelled.Usage) } };
            default:
                throw new ArgumentOutOfRangeException(nameof(logged), logged, "Give this event its record in EventCodec.");
        }
    }

    private static RequestEvent FromRecord(Wire.EventRecord record) => record.KindCase switch
    {
        Wire.EventRecord.KindOneofCase.Accepted => new RequestEvent.Accepted(DateTimeOffset.FromUnixTimeMilliseconds(record.Accepted.AtUnixMs)),
        Wire.EventRecord.KindOneofCase.Started => new RequestEvent.Started(record.Started.Attempt, record.Started.Replica, DateTimeOffset.FromUnixTimeMilliseconds(record.Started.AtUnixMs)),
        Wire.EventRecord.KindOneofCase.Chunk => new RequestEvent.Chunk([.. record.Chunk.Choices.Select(FromRecord)]),
        Wire.EventRecord.KindOneofCase.Finished => new RequestEvent.Finished(FromRecord(record.Finished)!),
        Wire.EventRecord.KindOneofCase.Failed => new RequestEvent.Failed(FromRecord(record.Failed), FromRecord(record.Failed.Usage)),
        Wire.EventRecord.KindOneofCase.Cancelled => new RequestEvent.Cancelled(record.Cancelled.Reason, FromRecord(record.Cancelled.Usage)),
        _ => new RequestEvent.Unknown("an event of a kind that this release does not know; finish the roll-out"),
    };

    private static Wire.Usage? ToRecord(TokenUsage? usage) =>
        usage is null ? null : new Wire.Usage { PromptTokens = usage.PromptTokens, CompletionTokens = usage.CompletionTokens, CachedTokens = usage.CachedTokens };

    private static TokenUsage? FromRecord(Wire.Usage? record) => record is null ? null : new TokenUsage(record.PromptTokens, record.CompletionTokens, record.CachedTokens);

    private static Wire.TokenLogProb ToRecord(TokenLogProb token)
    {
        var record = new Wire.TokenLogProb { TokenId = token.TokenId, Bytes = ByteString.CopyFrom(token.Bytes.Span), LogProb = token.LogProb };
        record.Top.AddRange(token.Top.Select(ToRecord));
        return record;
    }

    private static TokenLogProb FromRecord(Wire.TokenLogProb record) =>
        new(record.TokenId, record.Bytes.Memory, record.LogProb, record.Top.Count == 0 ? [] : [.. record.Top.Select(FromRecord)]);
}
