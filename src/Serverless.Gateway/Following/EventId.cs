using System.Globalization;
using Serverless.Errors;

namespace Serverless.Gateway.Following;

/// <summary>Names one part of a stream for good: the event of the log, and which of the parts it was rendered to. On the wire <c>sequence.part</c>.</summary>
/// <param name="Sequence">From 1; 0: before the first.</param>
/// <param name="Part">From 0.</param>
internal readonly record struct EventId(long Sequence, int Part) : IComparable<EventId>
{
    /// <summary>Reads <c>Last-Event-ID</c> or <c>starting_after</c>: <c>7.1</c>, or <c>7</c> for all parts of event 7. Null or empty: from the start.</summary>
    /// <exception cref="ServingException">It is no id of a stream.</exception>
    public static EventId Parse(string? text, string name)
    {
        if (string.IsNullOrEmpty(text)) return default;

        var dot = text.IndexOf('.', StringComparison.Ordinal);
        var part = int.MaxValue;
        if (long.TryParse(dot < 0 ? text : text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
            && (dot < 0 || int.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out part)))
        {
            return new EventId(sequence, part);
        }

        throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"'{name}' is no id of an event; give one that the stream sent, like '7.1', or none to begin at the start.", name));
    }

    public int CompareTo(EventId other) => Sequence != other.Sequence ? Sequence.CompareTo(other.Sequence) : Part.CompareTo(other.Part);

    public static bool operator <(EventId left, EventId right) => left.CompareTo(right) < 0;

    public static bool operator >(EventId left, EventId right) => left.CompareTo(right) > 0;

    public static bool operator <=(EventId left, EventId right) => left.CompareTo(right) <= 0;

    public static bool operator >=(EventId left, EventId right) => left.CompareTo(right) >= 0;
}
