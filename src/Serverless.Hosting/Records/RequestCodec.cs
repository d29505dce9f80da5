using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Hosting.Records;

/// <summary>
/// Admitted requests as records; the body travels beside the record, byte for byte as the client sent it. An endpoint that this release does not know is kept as it is
/// (<see cref="EndpointName.IsKnown"/>); a lane or a promise that it does not know makes the record one that is not understood here.
/// </summary>
internal static class RequestCodec
{
    private const int EndpointByName = 2;

    private static readonly string[] Promises = ["connection", "id"];

    public static Wire.RequestRecord ToRecord(InferenceRequest request) => new()
    {
        Needs = { request.Needs },
        Id = request.Id.Value,
        Model = request.Model.Value,
        Kind = request.Endpoint == EndpointName.ChatCompletions ? 0 : request.Endpoint == EndpointName.Completions ? 1 : EndpointByName,
        Endpoint = request.Endpoint.Value,
        Resumable = request.Resumable,
        Shape = ByteString.CopyFrom(request.Shape.Span),
        PromptTokens = request.PromptTokens,
        MaxOutputTokens = request.MaxOutputTokens,
        Choices = request.Choices,
        Lane = (int)request.Lane,
        LaneName = request.Lane.Name(),
        Promise = (int)request.Promise,
        PromiseName = Promises[(int)request.Promise],
        Organization = request.Owner.Organization,
        Team = request.Owner.Team,
        Key = request.Owner.Key,
        Conversation = request.Conversation ?? "",
        Seed = request.Seed,
        AcceptedAtUnixMs = request.AcceptedAt.ToUnixTimeMilliseconds(),
        DeadlineUnixMs = request.Deadline.ToUnixTimeMilliseconds(),
        Holder = request.Holder,
    };

    /// <summary>Reads a request. False, with the reason, where it cannot be read here: by a later release perhaps, or by nobody.</summary>
    public static bool TryDecode(ReadOnlyMemory<byte> record, ReadOnlyMemory<byte> body, [NotNullWhen(true)] out InferenceRequest? request, [NotNullWhen(false)] out NotUnderstood? reason)
    {
        try
        {
            return TryRead(Wire.RequestRecord.Parser.ParseFrom(record.Span), body, out request, out reason);
        }
        catch (InvalidProtocolBufferException exception)
        {
            request = null;
            reason = new NotUnderstood("record", $"{record.Length} bytes: {exception.Message}", IsLater: false);
            return false;
        }
    }

    /// <inheritdoc cref="TryDecode"/>
    public static bool TryRead(Wire.RequestRecord record, ReadOnlyMemory<byte> body, [NotNullWhen(true)] out InferenceRequest? request, [NotNullWhen(false)] out NotUnderstood? reason)
    {
        request = null;
        var lane = Lane.Interactive;
        var endpoint = EndpointOf(record);
        var promise = record.PromiseName.Length > 0 ? Array.IndexOf(Promises, record.PromiseName) : record.Promise;
        reason = Broken(record)
            ?? (endpoint is null ? Later("kind", record.Kind) : null)
            ?? (!TryReadLane(record, out lane) ? Later("lane", record.LaneName.Length > 0 ? record.LaneName : record.Lane) : null)
            ?? ((uint)promise >= Promises.Length ? Later("promise", record.PromiseName.Length > 0 ? record.PromiseName : record.Promise) : null);
        if (reason is not null) return false;

        request = new InferenceRequest
        {
            Id = new RequestId(record.Id),
            Model = new ModelName(record.Model),
            Endpoint = endpoint!.Value,
            Body = body,
            PromptTokens = record.PromptTokens,
            MaxOutputTokens = record.MaxOutputTokens,
            Choices = record.Choices,
            Needs = [.. record.Needs],
            Lane = lane,
            Promise = (Promise)promise,
            Owner = new Owner(record.Organization, record.Team, record.Key),
            Conversation = record.Conversation.Length > 0 ? record.Conversation : null,
            Seed = record.Seed,
            AcceptedAt = DateTimeOffset.FromUnixTimeMilliseconds(record.AcceptedAtUnixMs),
            Deadline = DateTimeOffset.FromUnixTimeMilliseconds(record.DeadlineUnixMs),
            Holder = record.Holder,
            Resumable = record.Resumable,
            Shape = record.Shape.Memory,
        };
        return true;
    }

    /// <summary>For callers that have nobody to leave it to.</summary>
    /// <exception cref="InvalidDataException">It cannot be read here.</exception>
    public static InferenceRequest FromRecord(Wire.RequestRecord record, ReadOnlyMemory<byte> body) =>
        TryRead(record, body, out var request, out var reason) ? request : throw new InvalidDataException(reason.ToString());

    private static EndpointName? EndpointOf(Wire.RequestRecord record)
    {
        if (record.Endpoint.Length > 0) return new EndpointName(record.Endpoint);
        return record.Kind switch { 0 => EndpointName.ChatCompletions, 1 => EndpointName.Completions, _ => null };
    }

    private static bool TryReadLane(Wire.RequestRecord record, out Lane lane)
    {
        if (record.LaneName.Length > 0) return Lanes.TryParse(record.LaneName, out lane);
        lane = (Lane)record.Lane;
        return Enum.IsDefined(lane);
    }

    /// <summary>A field that no release writes so.</summary>
    private static NotUnderstood? Broken(Wire.RequestRecord record)
    {
        if (record.Id.Length == 0) return Never("id", record.Id);
        if (record.Model.Length == 0) return Never("model", record.Model);
        if (record.PromptTokens < 0) return Never("prompt_tokens", record.PromptTokens);
        if (record.MaxOutputTokens < 1) return Never("max_output_tokens", record.MaxOutputTokens);
        if (record.Choices < 1) return Never("choices", record.Choices);
        if (!IsTime(record.AcceptedAtUnixMs)) return Never("accepted_at_unix_ms", record.AcceptedAtUnixMs);
        return IsTime(record.DeadlineUnixMs) ? null : Never("deadline_unix_ms", record.DeadlineUnixMs);
    }

    private static bool IsTime(long unixMs) => unixMs >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds() && unixMs <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    private static NotUnderstood Later(string field, object value) => new(field, $"{value}", IsLater: true);

    private static NotUnderstood Never(string field, object value) => new(field, $"{value}", IsLater: false);
}
