using System.Buffers;
using System.Text;

namespace Serverless.Inference.Tokenizers;

/// <summary>Byte-level BPE, as of GPT-2: text is split into pieces, and the bytes of each merge.</summary>
internal sealed class ByteLevelEncoder : ITextEncoder
{
    private readonly PreTokenizer _splitter;
    private readonly BytePairEncoder _pairs;
    private readonly Dictionary<string, int>? _whole;

    public ByteLevelEncoder(Vocabulary vocabulary, Dictionary<string, int> ids)
    {
        _splitter = vocabulary.Splitter!;
        _whole = vocabulary.IgnoresMerges ? ids : null;

        // A vocabulary may lack bytes that never occur in UTF-8; what cannot occur cannot be asked for.
        var byteTokens = new int[256];
        for (var value = 0; value < 256; value++) byteTokens[value] = ids.GetValueOrDefault(ByteAlphabet.Character((byte)value).ToString(), -1);

        // Each character of an entry that merges is a byte.
        _pairs = new BytePairEncoder(byteTokens, MergeTable.Of(vocabulary.Merges!, ids), [.. vocabulary.Entries.Select(entry => entry.Length)]);
    }

    public IEnumerable<byte> Absent => _pairs.Absent;

    public void Encode(ReadOnlySpan<char> text, List<int> output, int limit) => _splitter.Split(text, piece =>
    {
        EncodePiece(piece, output, limit);
        return output.Count <= limit;
    });

    private void EncodePiece(ReadOnlySpan<char> piece, List<int> output, int limit)
    {
        Span<byte> buffer = stackalloc byte[256];
        if (piece.Length * 3 <= buffer.Length)
        {
            EncodeBytes(buffer[..Encoding.UTF8.GetBytes(piece, buffer)], output, limit);
            return;
        }

        var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetByteCount(piece));
        EncodeBytes(bytes.AsSpan(0, Encoding.UTF8.GetBytes(piece, bytes)), output, limit);
        ArrayPool<byte>.Shared.Return(bytes);
    }

    private void EncodeBytes(ReadOnlySpan<byte> bytes, List<int> output, int limit)
    {
        if (_whole is not null && bytes.Length <= 256)
        {
            Span<char> entry = stackalloc char[bytes.Length];
            for (var i = 0; i < bytes.Length; i++) entry[i] = ByteAlphabet.Character(bytes[i]);
            if (_whole.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(entry, out var token))
            {
                output.Add(token);
                return;
            }
        }

        _pairs.Encode(bytes, output, limit);
    }
}
