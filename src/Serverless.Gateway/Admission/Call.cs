using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
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
    public Lane HighestLane { get; init; } = Serverless.Requests.Lane.Interactive;

    /// <summary>The lane it asks for; null: as the body's tier says.</summary>
    public Lane? Lane { get; init; }

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

    /// <summary>Hash of what is asked for: another one under the same name is something else.</summary>
    public static string FingerprintOf(EndpointName endpoint, byte[] body) => Convert.ToHexStringLower(SHA256.HashData((byte[])[.. Encoding.UTF8.GetBytes(endpoint.Value), 0, .. body]));
}

/// <summary>The event that asked for a request.</summary>
/// <param name="Source">Its source.</param>
/// <param name="Id">Its id there.</param>
/// <param name="TraceParent">Its trace context, or null.</param>
internal sealed record EventOrigin(string Source, string Id, string? TraceParent)
{
    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }

    /// <summary>The key of their owners, by which requests of events are known without a look.</summary>
    public const string Key = "events";

    /// <summary>Of a message: who is told, and what came under its name. Null: it is an event.</summary>
    public MessageOrigin? Message { get; init; }

    /// <summary>Of an event: hash of endpoint and body. Null: not of one, or of one that an earlier release took.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>Of an event: the topic on which its end is told too; null: on that of all results alone.</summary>
    public string? ReplyTo { get; init; }

    /// <summary>Whether that was done.</summary>
    public bool Replied { get; init; }

    /// <summary>Whether its output is told there while it is made.</summary>
    public bool Deltas { get; init; }
}

/// <summary>The message that asked for a request.</summary>
/// <param name="Fingerprint">Hash of endpoint and body: another one under the same name is another's.</param>
/// <param name="Replies">Who is told of its end; the same inference may be asked for by several.</param>
internal sealed record MessageOrigin(string Fingerprint, IReadOnlyList<MessageReply> Replies)
{
    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }
}

/// <summary>One who is told of the end of an inference.</summary>
internal sealed record MessageReply
{
    /// <summary>What waits for it there; null: nothing.</summary>
    public Guid? RequestId { get; init; }

    public Guid? ConversationId { get; init; }

    public Guid? CorrelationId { get; init; }

    /// <summary>Where a result goes; null: it is published.</summary>
    public string? ResultAddress { get; init; }

    /// <summary>Where a failure goes; null: it is published.</summary>
    public string? FaultAddress { get; init; }

    /// <summary>Whether that was done.</summary>
    public bool Sent { get; init; }
}
