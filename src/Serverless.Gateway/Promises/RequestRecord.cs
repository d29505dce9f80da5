using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

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

    /// <summary>Whether its end has been seen on the event bus.</summary>
    public bool Published { get; init; }

    /// <summary>Whether the event that asked for it was refused, for good: nothing ran.</summary>
    public bool Refused { get; init; }

    public bool HasEnded => Status is RequestStatus.Completed or RequestStatus.Failed or RequestStatus.Cancelled;

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
