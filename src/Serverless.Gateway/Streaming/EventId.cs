using System.Globalization;
using Serverless.Errors;

namespace Serverless.Gateway.Streaming;

/// <summary>
/// Names one part of a stream: the event of the log, which of the parts it was rendered to, and how many tokens the client has with it. On the wire
/// <c>sequence.part.tokens</c>. A store that lost data may number what follows otherwise: the tokens still tell what the client has.
/// </summary>
/// <param name="Sequence">From 1; 0: before the first.</param>
/// <param name="Part">From 0.</param>
/// <param name="Tokens">Of all choices, up to and with the part; null: not told, the numbers alone count.</param>
internal readonly record struct EventId(long Sequence, int Part, long? Tokens)
{
    /// <summary>Reads <c>Last-Event-ID</c> or <c>starting_after</c>: <c>7.1.12</c> as a stream sent it, or <c>7</c> for all parts of event 7. Null or empty: from the start.</summary>
    /// <exception cref="ServingException">It is no id of a stream.</exception>
    public static EventId Parse(string? text, string name)
    {
        if (string.IsNullOrEmpty(text)) return default;

        var fields = text.Split('.', 4);
        if (fields.Length <= 3
            && TryRead(fields[0], long.MaxValue, out var sequence)
            && TryRead(fields.ElementAtOrDefault(1) ?? "2147483647", int.MaxValue, out var part)
            && TryRead(fields.ElementAtOrDefault(2) ?? "0", long.MaxValue, out var tokens))
        {
            return new EventId(sequence, (int)part, fields.Length == 3 ? tokens : null);
        }

        throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"'{name}' is no id of an event; give one that the stream sent, like '7.1.12', or none to begin at the start.", name));
    }

    /// <summary>Whether whoever has this part has that one too.</summary>
    /// <param name="sequence">That one's event.</param>
    /// <param name="part">Which of its parts.</param>
    /// <param name="tokens">Tokens up to and with it.</param>
    /// <param name="bringsTokens">Whether it brings the last of them.</param>
    public bool Covers(long sequence, int part, long tokens, bool bringsTokens)
    {
        if (Tokens is { } had && (bringsTokens || tokens != had)) return tokens <= had;
        return sequence < Sequence || (sequence == Sequence && part <= Part);
    }

    private static bool TryRead(string field, long limit, out long value) =>
        long.TryParse(field, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= limit;
}
