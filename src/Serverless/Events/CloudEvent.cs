using System.Collections.Frozen;

namespace Serverless.Events;

/// <summary>A CloudEvents 1.0 event.</summary>
public sealed record CloudEvent
{
    /// <summary>Unique per source; the key by which receivers recognise a repetition.</summary>
    public required string Id { get; init; }

    /// <summary>Who says it, a URI reference.</summary>
    public required string Source { get; init; }

    /// <summary>What happened, reverse-DNS: <c>dev.serverless.request.completed</c>.</summary>
    public required string Type { get; init; }

    /// <summary>Which thing it is about, or null.</summary>
    public string? Subject { get; init; }

    /// <summary>When, or null.</summary>
    public DateTimeOffset? Time { get; init; }

    /// <summary>Trace context of who says it (<c>traceparent</c>), or null.</summary>
    public string? TraceParent { get; init; }

    /// <summary>Extension attributes: names of lower-case letters and digits, and their values as text.</summary>
    public IReadOnlyDictionary<string, string> Extensions { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>JSON; of an event that somebody sent, whatever they sent.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }
}
