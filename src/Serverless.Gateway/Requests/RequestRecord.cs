using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>What is kept of a request that an id promised: written before the id is given, and again with its end. Stored as JSON; a field is only ever added.</summary>
internal sealed record RequestRecord
{
    public required string Id { get; init; }

    [JsonPropertyName("kind")]
    [JsonConverter(typeof(EndpointJson))]
    public required EndpointName Endpoint { get; init; }

    public required string Model { get; init; }

    public required Owner Owner { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset Deadline { get; init; }

    /// <summary>How its answer is rendered, as its log's head has it: the record outlives the log.</summary>
    public byte[] Shape { get; init; } = [];

    /// <summary><see cref="RequestStatus.Queued"/> until it has ended: in between the log knows.</summary>
    public RequestStatus Status { get; init; }

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>OpenAI's object, once completed.</summary>
    public JsonElement? Response { get; init; }

    /// <summary>OpenAI's error, once failed.</summary>
    public JsonElement? Error { get; init; }

    /// <summary>The event that asked for it, or null.</summary>
    public EventOrigin? Origin { get; init; }

    /// <summary>As whoever asked wrote it; given back with the result.</summary>
    public JsonElement? Metadata { get; init; }

    /// <summary>Whom to call when it has ended, and what became of that; null: nobody.</summary>
    public CallbackState? Callback { get; init; }

    /// <summary>Once ended: what its result event must bring back to prove that a gateway published it. Nobody is told it but by that event. Null: kept by an earlier release.</summary>
    public string? Proof { get; init; }

    /// <summary>Whether its end has been seen on the event bus.</summary>
    public bool Published { get; init; }

    /// <summary>Whether the event that asked for it was refused, for good: nothing ran.</summary>
    public bool Refused { get; init; }

    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }

    public bool HasEnded => Status is RequestStatus.Completed or RequestStatus.Failed or RequestStatus.Cancelled;

    /// <summary>Of a failed one: whether the same request may fare better another time.</summary>
    [JsonIgnore]
    public bool MayPass => FailedAs is not { } row || row.RetryAfter is not null || row.HttpStatus >= 500;

    /// <summary>Whether it is a result that stays the same however often it is asked for.</summary>
    [JsonIgnore]
    public bool IsFinal => Status == RequestStatus.Completed || (Status == RequestStatus.Failed && !MayPass);

    /// <summary>Of a failed one: its row in the table of errors, if it has one there.</summary>
    [JsonIgnore]
    public ErrorRow? FailedAs => Error?.GetProperty("code").GetString() is { } code ? ServingErrors.All.FirstOrDefault(row => row.Code == code) : null;

    /// <summary>Of a request that has a log and no record: as its head tells it.</summary>
    public static RequestRecord Of(RequestId id, LogHead head, AnswerShape shape) => new()
    {
        Id = id.Value,
        Endpoint = shape.Endpoint,
        Model = shape.Model,
        Owner = head.Owner,
        CreatedAt = DateTimeOffset.FromUnixTimeSeconds(shape.Created),
        Deadline = head.Deadline,
        Shape = head.Shape.ToArray(),
    };
}

/// <summary>Where a request is. The names on the wire are these in snake case.</summary>
internal enum RequestStatus
{
    /// <summary>No attempt has begun.</summary>
    Queued,

    /// <summary>A replica works on it, or did and another will.</summary>
    InProgress,

    /// <summary>Its response is there.</summary>
    Completed,

    /// <summary>Its error is there.</summary>
    Failed,

    /// <summary>Its holder gave it up.</summary>
    Cancelled,
}

/// <summary>How records are stored.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(RequestRecord))]
internal sealed partial class RecordJson : JsonSerializerContext;

/// <summary>Endpoints as records have them: version 1 wrote two names of its own, which are read and written still.</summary>
internal sealed class EndpointJson : JsonConverter<EndpointName>
{
    private const string Chat = "ChatCompletion";
    private const string Completion = "Completion";

    public override EndpointName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetString() switch
    {
        Chat => EndpointName.ChatCompletions,
        Completion => EndpointName.Completions,
        var other => new EndpointName(other ?? ""),
    };

    public override void Write(Utf8JsonWriter writer, EndpointName value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value == EndpointName.ChatCompletions ? Chat : value == EndpointName.Completions ? Completion : value.Value);
}
