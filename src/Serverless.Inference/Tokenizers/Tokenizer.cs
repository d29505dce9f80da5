using System.Buffers;
using System.Text;
using Serverless.Inference.Gguf;

namespace Serverless.Inference.Tokenizers;

/// <summary>
/// A model's own tokenizer: byte-level BPE (<c>gpt2</c>) with the <c>smollm</c> pre-tokenizer. Text never becomes a control token unless the caller says that it is
/// the template's own. Thread-safe.
/// </summary>
public sealed class Tokenizer
{
    private const int ControlType = 3;
    private const int UserDefinedType = 4;

    private static readonly string[] EndNames =
    [
        "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|end_of_text|>", "<end_of_turn>", "<end_of_utterance>",
        "</s>", "<eos>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    ];

    private readonly byte[][] _bytes;
    private readonly bool[] _control;
    private readonly BytePairEncoder _encoder;
    private readonly SpecialTokens _special;
    private readonly int _longest;
    private readonly SearchValues<byte> _absent;
    private readonly SearchValues<char> _absentAscii;
    private readonly bool _lacksLetters;

    private Tokenizer(byte[][] bytes, bool[] control, BytePairEncoder encoder, SpecialTokens special)
    {
        (_bytes, _control, _encoder, _special) = (bytes, control, encoder, special);
        _longest = Math.Max(1, bytes.Max(token => token.Length));
        byte[] absent = [.. encoder.Absent];
        _absent = SearchValues.Create(absent);
        _absentAscii = SearchValues.Create([.. absent.Where(value => value < 0x80).Select(value => (char)value)]);
        _lacksLetters = absent.Any(value => value is >= 0x80 and < 0xF0 and not (0xC0 or 0xC1));
    }

    /// <summary>Size of the vocabulary.</summary>
    public int VocabularySize => _bytes.Length;

    /// <summary>The tokens that end an answer.</summary>
    public required IReadOnlySet<int> EndTokens { get; init; }

    /// <summary>The token a prompt begins with where the model wants one; else null.</summary>
    public required int? BeginToken { get; init; }

    /// <summary>The text of the begin token, which templates call <c>bos_token</c>; empty if the file names none.</summary>
    public required string BeginText { get; init; }

    /// <summary>The text of the end token, which templates call <c>eos_token</c>.</summary>
    public required string EndText { get; init; }

    /// <summary>Reads the tokenizer of a file.</summary>
    /// <exception cref="TokenizerException">It is of a kind that is not known, or does not fit together.</exception>
    /// <exception cref="GgufException">A field is missing or of another kind.</exception>
    public static Tokenizer Load(GgufFile file)
    {
        Check(file);
        var entries = file.Get<string[]>("tokenizer.ggml.tokens");
        var types = file.Get<int[]>("tokenizer.ggml.token_type");
        if (types.Length != entries.Length) throw new TokenizerException($"tokenizer.ggml.token_type has {types.Length} entries, tokenizer.ggml.tokens {entries.Length}; they must be as many.");

        var ids = new Dictionary<string, int>(entries.Length, StringComparer.Ordinal);
        var bytes = new byte[entries.Length][];
        var control = new bool[entries.Length];
        var special = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < entries.Length; id++)
        {
            ids.TryAdd(entries[id], id);
            control[id] = types[id] == ControlType;
            if (types[id] is ControlType or UserDefinedType && entries[id].Length > 0) special.TryAdd(entries[id], id);
            bytes[id] = (types[id] is ControlType or UserDefinedType ? null : ByteAlphabet.Decode(entries[id])) ?? Encoding.UTF8.GetBytes(entries[id]);
        }

        return new Tokenizer(bytes, control, Encoder(file, ids, entries), new SpecialTokens(special))
        {
            EndTokens = EndsOf(file, ids, entries.Length),
            BeginText = file.Keys.Contains("tokenizer.ggml.bos_token_id") ? entries[Id(file, "tokenizer.ggml.bos_token_id", entries.Length)] : "",
            EndText = entries[Id(file, "tokenizer.ggml.eos_token_id", entries.Length)],
            BeginToken = file.Find<bool>("tokenizer.ggml.add_bos_token") ? Id(file, "tokenizer.ggml.bos_token_id", entries.Length) : null,
        };
    }

    /// <summary>Whether a file's tokenizer is of a kind that is known: cheap, and enough to tell of a model that could not be served.</summary>
    /// <exception cref="TokenizerException">It is not.</exception>
    /// <exception cref="GgufException">A field is missing or of another kind.</exception>
    public static void Check(GgufFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        Require(file, "tokenizer.ggml.model", "gpt2");
        Require(file, "tokenizer.ggml.pre", "smollm");
    }

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
        while (!text.IsEmpty && output.Count <= limit)
        {
            if (!parseSpecial || !_special.TryFind(text, out var at, out var length, out var token))
            {
                EncodeText(text, output, limit);
                return;
            }

            EncodeText(text[..at], output, limit);
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

    private static void Require(GgufFile file, string key, string wanted)
    {
        var value = file.Get<string>(key);
        if (value != wanted) throw new TokenizerException($"{key} is '{value}'; known is '{wanted}'.");
    }

    private static int Id(GgufFile file, string key, int count)
    {
        var id = file.Get<long>(key);
        return id >= 0 && id < count ? (int)id : throw new TokenizerException($"{key} is {id}; the vocabulary has {count} tokens.");
    }

    /// <summary>Those that the file names, and those whose name says it: a file names one, and its template may end a turn with another.</summary>
    private static HashSet<int> EndsOf(GgufFile file, Dictionary<string, int> ids, int count)
    {
        HashSet<int> ends = [Id(file, "tokenizer.ggml.eos_token_id", count)];
        foreach (var key in (string[])["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"])
        {
            if (file.Keys.Contains(key)) ends.Add(Id(file, key, count));
        }

        foreach (var name in EndNames)
        {
            if (ids.TryGetValue(name, out var id)) ends.Add(id);
        }

        // In the harmony format <|end|> parts the messages of one answer.
        if (ids.ContainsKey("<|return|>") && ids.ContainsKey("<|call|>") && ids.TryGetValue("<|end|>", out var part)) ends.Remove(part);
        return ends;
    }

    private static BytePairEncoder Encoder(GgufFile file, Dictionary<string, int> ids, string[] entries)
    {
        var byteTokens = new int[256];
        for (var value = 0; value < 256; value++)
        {
            // A vocabulary may lack bytes that never occur in UTF-8; what cannot occur cannot be asked for.
            byteTokens[value] = ids.GetValueOrDefault(ByteAlphabet.Character((byte)value).ToString(), -1);
        }

        var merges = new Dictionary<long, (int Rank, int Token)>();
        var lines = file.Get<string[]>("tokenizer.ggml.merges");
        for (var rank = 0; rank < lines.Length; rank++)
        {
            var space = lines[rank].IndexOf(' ', 1);
            if (space < 0) throw new TokenizerException($"Merge {rank} is '{lines[rank]}'; it must be two tokens with a space between.");

            var (left, right) = (lines[rank][..space], lines[rank][(space + 1)..]);
            if (!ids.TryGetValue(left, out var leftId) || !ids.TryGetValue(right, out var rightId) || !ids.TryGetValue(left + right, out var merged))
                throw new TokenizerException($"Merge {rank} joins '{left}' and '{right}', but the vocabulary lacks one of them or what they make.");

            merges.TryAdd(BytePairEncoder.Pair(leftId, rightId), (rank, merged));
        }

        // Each character of an entry that merges is a byte.
        var lengths = new int[entries.Length];
        for (var id = 0; id < entries.Length; id++) lengths[id] = entries[id].Length;
        return new BytePairEncoder(byteTokens, merges, lengths);
    }

    private void EncodeText(ReadOnlySpan<char> text, List<int> output, int limit)
    {
        Span<byte> buffer = stackalloc byte[256];
        while (!text.IsEmpty && output.Count <= limit)
        {
            var length = PreTokenizer.Next(text);
            var piece = text[..length];
            text = text[length..];
            if (piece.Length * 3 <= buffer.Length)
            {
                _encoder.Encode(buffer[..Encoding.UTF8.GetBytes(piece, buffer)], output);
                continue;
            }

            var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetByteCount(piece));
            _encoder.Encode(bytes.AsSpan(0, Encoding.UTF8.GetBytes(piece, bytes)), output, limit);
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }
}
