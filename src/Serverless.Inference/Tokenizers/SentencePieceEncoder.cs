using System.Buffers;
using System.Globalization;
using System.Text;

namespace Serverless.Inference.Tokenizers;

/// <summary>SentencePiece's BPE, as of Llama 2 and Gemma: characters merge, ▁ is the space, and a character without a token is its bytes.</summary>
internal sealed class SentencePieceEncoder : ITextEncoder
{
    /// <summary>What stands for a space.</summary>
    public const char Space = '\u2581';

    private readonly Dictionary<Rune, int> _characters = [];
    private readonly int[] _byteTokens = new int[256];
    private readonly int _unknown;
    private readonly SpacePrefix _prefix;
    private readonly bool _keepsPrefix;
    private readonly BytePairEncoder _pairs;

    public SentencePieceEncoder(Vocabulary vocabulary, Dictionary<string, int> ids)
    {
        (_prefix, _keepsPrefix) = (vocabulary.Prefix, vocabulary.KeepsPrefix);
        _unknown = Array.IndexOf(vocabulary.Kinds, VocabularyKind.Unknown);
        for (var value = 0; value < 256; value++) _byteTokens[value] = ids.GetValueOrDefault(string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>"), -1);
        var lengths = new int[vocabulary.Entries.Length];
        for (var id = 0; id < lengths.Length; id++)
        {
            var entry = vocabulary.Entries[id];
            var isText = vocabulary.Kinds[id] is VocabularyKind.Normal or VocabularyKind.UserDefined;
            lengths[id] = isText ? Math.Max(1, entry.EnumerateRunes().Count()) : 1;
            if (isText && lengths[id] == 1 && Rune.TryGetRuneAt(entry.Length > 0 ? entry : " ", 0, out var rune) && entry.Length == rune.Utf16SequenceLength) _characters.TryAdd(rune, id);
        }

        _pairs = new BytePairEncoder([], vocabulary.Merges is { } merges ? MergeTable.Of(merges, ids) : MergeTable.Of(vocabulary, ids), lengths);
    }

    /// <summary>None is nothing: what has no token is the unknown one.</summary>
    public IEnumerable<byte> Absent => [];

    public void Encode(ReadOnlySpan<char> text, List<int> output, int limit)
    {
        if (text.IsEmpty) return;

        // A character is at most four bytes, and those of three have one unit.
        var symbols = ArrayPool<int>.Shared.Rent((3 * text.Length) + 1);
        var count = 0;
        var isPrefixed = _prefix == SpacePrefix.Each || (_prefix == SpacePrefix.First && output.Count == 0);
        if (isPrefixed && !(_keepsPrefix && text[0] is ' ' or Space)) Append(new Rune(Space), symbols, ref count);
        foreach (var rune in text.EnumerateRunes()) Append(rune.Value == ' ' ? new Rune(Space) : rune, symbols, ref count);
        _pairs.Encode<int>(symbols.AsSpan(0, count), output, limit);
        ArrayPool<int>.Shared.Return(symbols);
    }

    private void Append(Rune rune, int[] symbols, ref int count)
    {
        if (_characters.TryGetValue(rune, out var token))
        {
            symbols[count++] = token;
            return;
        }

        Span<byte> bytes = stackalloc byte[4];
        foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
        {
            if (_byteTokens[value] < 0)
            {
                if (_unknown >= 0) symbols[count++] = _unknown;
                return;
            }

            symbols[count++] = _byteTokens[value];
        }
    }
}
