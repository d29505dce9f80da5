using System.Text.Json;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>What somebody asks, whatever way they came: a face makes one of its wire form. Immutable.</summary>
internal sealed record Call
{
    /// <summary>The name it will have, unless it turns out to be one that was asked before.</summary>
    public required RequestId Id { get; init; }

    public required EndpointName Endpoint { get; init; }

    public required Owner Owner { get; init; }

    /// <summary>The JSON as it came.</summary>
    public required byte[] Body { get; init; }

    /// <summary>The highest lane that its owner may take.</summary>
    public Lane HighestLane { get; init; } = Lane.Interactive;

    /// <summary>For how long the answer is wanted; null: the gateway's default.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The same, as the client's library bounds an answer in one piece; a stream and an answer by an id are not bounded by it.</summary>
    public TimeSpan? LibraryTimeout { get; init; }

    /// <summary>Until when the answer is wanted, whatever the gateway's own limits of time are; null: by <see cref="Timeout"/>.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Whether whoever asks keeps it: no id takes it over, however long it takes.</summary>
    public bool IsKept { get; init; }

    /// <summary>Requests with the same value run one at a time, in order.</summary>
    public string? Conversation { get; init; }

    /// <summary>Asked for again under the same key it is the same request.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>How long it runs on after nobody listens; null: as the gateway has it.</summary>
    public TimeSpan? Resume { get; init; }

    /// <summary>After how long an id takes over the promise: zero, at once; null: as the gateway has it.</summary>
    public TimeSpan? PromiseAfter { get; init; }

    /// <summary>Whom to call when it has ended, if an id promises it; null: nobody.</summary>
    public Uri? Callback { get; init; }

    /// <summary>Timestamp of its first byte; 0: nobody measures it.</summary>
    public long ArrivedAt { get; init; }

    /// <summary>The event that asked, or null.</summary>
    public EventOrigin? Origin { get; init; }

    /// <summary>Given back with the result; or null.</summary>
    public JsonElement? Metadata { get; init; }
}

/// <summary>The event that asked for a request.</summary>
/// <param name="Source">Its source.</param>
/// <param name="Id">Its id there.</param>
/// <param name="TraceParent">Its trace context, or null.</param>
internal sealed record EventOrigin(string Source, string Id, string? TraceParent);
