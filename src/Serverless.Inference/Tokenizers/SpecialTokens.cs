namespace Serverless.Inference.Tokenizers;

/// <summary>Finds control tokens written out in text: the leftmost, and of several there the longest. Thread-safe.</summary>
/// <param name="tokens">Their names.</param>
/// <param name="stripsAfter">Those that take the white space behind them with them.</param>
internal sealed class SpecialTokens(Dictionary<string, int> tokens, IReadOnlySet<int> stripsAfter)
{
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _tokens = tokens.GetAlternateLookup<ReadOnlySpan<char>>();
    private readonly System.Buffers.SearchValues<char> _firsts = System.Buffers.SearchValues.Create([.. tokens.Keys.Select(text => text[0]).Distinct()]);

    // A place is asked once for each length there is, not for each name: Gemma has six thousand that begin alike, and a text may be of nothing but that.
    private readonly Dictionary<char, int[]> _lengths = tokens.Keys.GroupBy(text => text[0]).ToDictionary(names => names.Key, names => (int[])[.. names.Select(name => name.Length).Distinct().OrderDescending()]);

    public bool TryFind(ReadOnlySpan<char> text, out int at, out int length, out int token)
    {
        for (at = 0; at < text.Length; at++)
        {
            var next = text[at..].IndexOfAny(_firsts);
            if (next < 0) break;

            at += next;
            foreach (var size in _lengths[text[at]])
            {
                if (size > text.Length - at || !_tokens.TryGetValue(text.Slice(at, size), out token)) continue;
                length = size;
                while (stripsAfter.Contains(token) && at + length < text.Length && char.IsWhiteSpace(text[at + length])) length++;
                return true;
            }
        }

        (at, length, token) = (0, 0, 0);
        return false;
    }
}
