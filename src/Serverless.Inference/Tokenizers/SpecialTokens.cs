namespace Serverless.Inference.Tokenizers;

/// <summary>Finds control tokens written out in text: the leftmost, and of several there the longest. Thread-safe.</summary>
/// <param name="tokens">Their names.</param>
/// <param name="stripsAfter">Those that take the white space behind them with them.</param>
internal sealed class SpecialTokens(Dictionary<string, int> tokens, IReadOnlySet<int> stripsAfter)
{
    private readonly (string Text, int Token)[] _longestFirst = [.. tokens.OrderByDescending(pair => pair.Key.Length).Select(pair => (pair.Key, pair.Value))];
    private readonly System.Buffers.SearchValues<char> _firsts = System.Buffers.SearchValues.Create([.. tokens.Keys.Select(text => text[0]).Distinct()]);

    public bool TryFind(ReadOnlySpan<char> text, out int at, out int length, out int token)
    {
        for (at = 0; at < text.Length; at++)
        {
            var next = text[at..].IndexOfAny(_firsts);
            if (next < 0) break;

            at += next;
            foreach (var (name, id) in _longestFirst)
            {
                if (!text[at..].StartsWith(name, StringComparison.Ordinal)) continue;
                (length, token) = (name.Length, id);
                while (stripsAfter.Contains(id) && at + length < text.Length && char.IsWhiteSpace(text[at + length])) length++;
                return true;
            }
        }

        (at, length, token) = (0, 0, 0);
        return false;
    }
}
