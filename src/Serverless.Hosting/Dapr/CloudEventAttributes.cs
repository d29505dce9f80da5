using System.Collections.Frozen;
using System.Globalization;
using Serverless.Events;

namespace Serverless.Hosting.Dapr;

/// <summary>What CloudEvents 1.0 ask of attributes, in whatever way they came.</summary>
internal static class CloudEventAttributes
{
    private const string Version = "1.0";

    /// <summary>They are kept with the request, and name it.</summary>
    private const int LongestName = 1024;

    /// <summary>Those that events have of their own; and what daprd writes beside them for itself.</summary>
    private static readonly FrozenSet<string> Known = FrozenSet.Create(
        StringComparer.Ordinal,
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "traceparent", "tracestate", "topic", "pubsubname", "traceid", "expiration");

    /// <exception cref="InvalidDataException">It is no CloudEvent; the message says why.</exception>
    public static CloudEvent Read(IReadOnlyDictionary<string, string> attributes, ReadOnlyMemory<byte> data)
    {
        var version = attributes.GetValueOrDefault("specversion");
        if (version != Version) throw new InvalidDataException($"The event's 'specversion' is {(version is null ? "missing" : $"'{Shown(version)}'")}; it must be '{Version}'.");

        return new CloudEvent
        {
            Id = Required(attributes, "id"),
            Source = Required(attributes, "source"),
            Type = Required(attributes, "type"),
            Subject = Optional(attributes, "subject"),
            Time = Optional(attributes, "time") is { } time ? TimeOf(time) : null,
            TraceParent = TraceContext.Read(attributes.GetValueOrDefault("traceparent")),
            Extensions = Extensions(attributes),
            Data = data,
        };
    }

    private static FrozenDictionary<string, string> Extensions(IReadOnlyDictionary<string, string> attributes)
    {
        var extensions = attributes.Where(attribute => !Known.Contains(attribute.Key) && attribute.Key.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character))).ToArray();
        return extensions.Length == 0 ? FrozenDictionary<string, string>.Empty : extensions.ToFrozenDictionary(StringComparer.Ordinal); // the first: no other empty one is equal to it
    }

    private static string Required(IReadOnlyDictionary<string, string> attributes, string name) =>
        Optional(attributes, name) ?? throw new InvalidDataException($"The event's '{name}' is missing or empty; CloudEvents 1.0 require it.");

    private static string? Optional(IReadOnlyDictionary<string, string> attributes, string name)
    {
        if (attributes.GetValueOrDefault(name) is not { Length: > 0 } value) return null;
        if (value.Length > LongestName) throw new InvalidDataException($"The event's '{name}' has {value.Length} characters; at most {LongestName} are taken.");
        if (value.Any(char.IsControl)) throw new InvalidDataException($"The event's '{name}' has a control character, which CloudEvents 1.0 forbid.");
        return value;
    }

    private static DateTimeOffset TimeOf(string time) => DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var parsed)
        ? parsed
        : throw new InvalidDataException($"The event's 'time' is '{Shown(time)}'; it must be a time as RFC 3339 has it, '2026-01-02T03:04:05Z'.");

    private static string Shown(string value) => value.Length > 64 ? value[..64] + "…" : value;
}
