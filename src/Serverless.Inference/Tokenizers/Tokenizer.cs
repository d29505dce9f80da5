using System.Buffers;
using System.Globalization;
using System.Text;
using Serverless.Inference.Gguf;

namespace Serverless.Inference.Tokenizers;

/// <summary>
/// A model's own tokenizer: byte-level BPE, or SentencePiece's. Text never becomes a control token unless the caller says that it is the template's own. Thread-safe.
/// </summary>
public sealed class Tokenizer
{
    private static readonly string[] EndNames =
    [
        "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|end_of_text|>", "<end_of_turn>", "<end_of_utterance>",
        "</s>", "<eos>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<｜end▁of▁sentence｜>", "<|eot|>",
    ];

    private readonly byte[][] _bytes;
    private readonly bool[] _control;
    private readonly ITextEncoder _encoder;
    private readonly SpecialTokens _special;
    private readonly SpecialTokens _userDefined;
    private readonly int _longest;
    private readonly SearchValues<byte> _absent;
    private readonly SearchValues<char> _absentAscii;
    private readonly bool _lacksLetters;

    private Tokenizer(Vocabulary vocabulary)
    {
        var (entries, kinds) = (vocabulary.Entries, vocabulary.Kinds);
        var ids = new Dictionary<string, int>(entries.Length, StringComparer.Ordinal);
        _bytes = new byte[entries.Length][];
        _control = new bool[entries.Length];
        var (special, userDefined) = (new Dictionary<string, int>(StringComparer.Ordinal), new Dictionary<string, int>(StringComparer.Ordinal));
        for (var id = 0; id < entries.Length; id++)
        {
            ids.TryAdd(entries[id], id);
            _control[id] = kinds[id] is VocabularyKind.Control or VocabularyKind.Unused || (kinds[id] == VocabularyKind.Unknown && vocabulary.Splitter is null);
            if (kinds[id] is VocabularyKind.Control or VocabularyKind.UserDefined && entries[id].Length > 0) special.TryAdd(entries[id], id);
            if (kinds[id] == VocabularyKind.UserDefined && entries[id].Length > 0) userDefined.TryAdd(entries[id], id);
            _bytes[id] = BytesOf(entries[id], kinds[id], vocabulary.Splitter is null);
        }

        _special = new SpecialTokens(special, vocabulary.StripsAfter);
        _userDefined = new SpecialTokens(userDefined, vocabulary.StripsAfter);
        _encoder = vocabulary.Splitter is null ? new SentencePieceEncoder(vocabulary, ids) : new ByteLevelEncoder(vocabulary, ids);
        _longest = Math.Max(4, _bytes.Max(token => token.Length));
        byte[] absent = [.. _encoder.Absent];
        _absent = SearchValues.Create(absent);
        _absentAscii = SearchValues.Create([.. absent.Where(value => value < 0x80).Select(value => (char)value)]);
        _lacksLetters = absent.Any(value => value is >= 0x80 and < 0xF0 and not (0xC0 or 0xC1));
        EndTokens = EndsOf(vocabulary, ids);
        BeginToken = vocabulary.AddsBegin ? vocabulary.Begin : null;
        BeginText = vocabulary.Begin is { } begin ? entries[begin] : "";
        EndText = vocabulary.End is { } end ? entries[end] : "";
    }

    /// <summary>Size of the vocabulary.</summary>
    public int VocabularySize => _bytes.Length;

    /// <summary>The tokens that end an answer.</summary>
    public IReadOnlySet<int> EndTokens { get; }

    /// <summary>The token a prompt begins with where the model wants one; else null.</summary>
    public int? BeginToken { get; }

    /// <summary>The text of the begin token, which templates call <c>bos_token</c>; empty if the file names none.</summary>
    public string BeginText { get; }

    /// <summary>The text of the end token, which templates call <c>eos_token</c>.</summary>
    public string EndText { get; }

    /// <summary>Reads the tokenizer of a file.</summary>
    /// <exception cref="TokenizerException">It is of a kind that is not known, or does not fit together.</exception>
    /// <exception cref="GgufException">A field is missing or of another kind.</exception>
    public static Tokenizer Load(GgufFile file) => Of(GgufVocabulary.Read(file));

    /// <summary>Whether a file's tokenizer is of a kind that is known: cheap, and enough to tell of a model that could not be served.</summary>
    /// <exception cref="TokenizerException">It is not.</exception>
    /// <exception cref="GgufException">A field is missing or of another kind.</exception>
    public static void Check(GgufFile file) => GgufVocabulary.Check(file);

    /// <summary>The tokenizer of a vocabulary.</summary>
    /// <exception cref="TokenizerException">It does not fit together.</exception>
    internal static Tokenizer Of(Vocabulary vocabulary) => new(vocabulary.Checked());

    /// <summary>The tokens of <paramref name="text"/>.</summary>
    /// <param name="text">Any UTF-16; a lone surrogate reads as U+FFFD.</param>
    /// <param name="parseSpecial">Whether control tokens written out (<c>&lt;|im_end|&gt;</c>) become those tokens: only for the template's own text, never for a user's.</param>
    public List<int> Encode(ReadOnlySpan<char> text, bool parseSpecial)
    {
        var output = new List<int>((text.Length / 4) + 8);
        Encode(text, parseSpecial, output);
        return output;
    }

    /// <summary>Appends the tokens of <paramref name="text"/> to <paramref name="output"/>, and stops where more than <paramref name="limit"/> are in it.</summary>
    /// <param name="text">Any UTF-16; a lone surrogate reads as U+FFFD.</param>
    /// <param name="parseSpecial">Whether control tokens written out become those tokens.</param>
    /// <param name="output">Where they go.</param>
    /// <param name="limit">Most tokens wanted; there may come to be some more, and where there are, the rest of the text is not read.</param>
    public void Encode(ReadOnlySpan<char> text, bool parseSpecial, List<int> output, int limit = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(output);
        var tokens = parseSpecial ? _special : _userDefined;
        while (!text.IsEmpty && output.Count <= limit)
        {
            if (!tokens.TryFind(text, out var at, out var length, out var token))
            {
                _encoder.Encode(text, output, limit);
                return;
            }

            _encoder.Encode(text[..at], output, limit);
            output.Add(token);
            text = text[(at + length)..];
        }
    }

    /// <summary>So many tokens at least are so many bytes that have tokens: none stands for more than the longest one.</summary>
    public long LeastTokens(long bytes) => (bytes + _longest - 1) / _longest;

    /// <summary>Bytes of UTF-8 that have tokens; what a vocabulary lacks is not seen by its model.</summary>
    public long CountBytes(ReadOnlySpan<byte> text) => text.Length - text.CountAny(_absent);

    /// <summary>The same of UTF-16, at least: a unit stands for one byte or more, of which one is known.</summary>
    public long CountBytes(ReadOnlySpan<char> text)
    {
        if (!_lacksLetters) return text.Length - text.CountAny(_absentAscii);

        var count = 0L;
        foreach (var unit in text)
        {
            if (unit < 0x80 && !_absentAscii.Contains(unit)) count++;
        }

        return count;
    }

    /// <summary>The bytes of a token; none for a control token, which has no text.</summary>
    public ReadOnlyMemory<byte> Bytes(int token) => _control[token] ? default(ReadOnlyMemory<byte>) : _bytes[token];

    /// <summary>The bytes of a token as its vocabulary writes it, control tokens included.</summary>
    public ReadOnlyMemory<byte> Name(int token) => _bytes[token];

    /// <summary>The text of tokens; bytes that are no UTF-8 read as U+FFFD.</summary>
    public string Decode(IEnumerable<int> tokens)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        using var bytes = new MemoryStream();
        foreach (var token in tokens) bytes.Write(Bytes(token).Span);
        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    /// <summary>The first control token written out in a text: the leftmost, and of several there the longest.</summary>
    internal bool TryFindSpecial(ReadOnlySpan<char> text, out int at, out int length, out int token) => _special.TryFind(text, out at, out length, out token);

    /// <summary>Whether an entry stands for a byte, &lt;0x41&gt;.</summary>
    internal static bool IsByte(string entry, out byte value)
    {
        value = 0;
        return entry is ['<', '0', 'x', _, _, '>'] && byte.TryParse(entry.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    private static byte[] BytesOf(string entry, VocabularyKind kind, bool isSentencePiece)
    {
        if (kind is VocabularyKind.Control or VocabularyKind.UserDefined) return Encoding.UTF8.GetBytes(entry);
        if (!isSentencePiece) return ByteAlphabet.Decode(entry) ?? Encoding.UTF8.GetBytes(entry);
        return kind == VocabularyKind.Byte && IsByte(entry, out var value) ? [value] : Encoding.UTF8.GetBytes(entry.Replace(SentencePieceEncoder.Space, ' '));
    }

    /// <summary>Those that the file names, and those whose name says it: a file names one, and its template may end a turn with another.</summary>
    private static HashSet<int> EndsOf(Vocabulary vocabulary, Dictionary<string, int> ids)
    {
        HashSet<int> ends = [.. vocabulary.Ends];
        foreach (var name in EndNames)
        {
            if (ids.TryGetValue(name, out var id)) ends.Add(id);
        }

        // In the harmony format <|end|> parts the messages of one answer.
        if (ids.ContainsKey("<|return|>") && ids.ContainsKey("<|call|>") && ids.TryGetValue("<|end|>", out var part)) ends.Remove(part);
        return ends.Count > 0 ? ends : throw new TokenizerException("No token ends an answer: the file names none, and none is one by its name.");
    }
}
