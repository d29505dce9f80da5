using System.Text;

namespace Serverless.Inference.Tokenizers;

/// <summary>
/// Turns the bytes of one token after another into text, byte-exact: an unfinished UTF-8 sequence is held back until it ends or turns out to be none.
/// The text of a stream is the text of all its bytes at once, wherever it is split. Not thread-safe.
/// </summary>
public sealed class TokenDecoder
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly List<byte> _pending = [];

    /// <summary>Bytes held back.</summary>
    public ReadOnlyMemory<byte> HeldBack => _pending.ToArray();

    /// <summary>Adds bytes and returns the text that is now whole.</summary>
    public string Add(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return "";

        var characters = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length) + 1];
        var text = new string(characters, 0, _decoder.GetChars(bytes, characters, flush: false));
        _pending.AddRange(bytes);
        if (text.Length > 0) _pending.RemoveRange(0, _pending.Count - Unfinished());
        return text;
    }

    /// <summary>Ends the stream: what is held back becomes U+FFFD.</summary>
    public string Flush()
    {
        var characters = new char[4];
        _pending.Clear();
        return new string(characters, 0, _decoder.GetChars([], characters, flush: true));
    }

    /// <summary>How many of the last bytes begin a sequence that is not whole yet.</summary>
    private int Unfinished()
    {
        for (var count = 1; count <= Math.Min(3, _pending.Count); count++)
        {
            var lead = _pending[^count];
            if ((lead & 0xC0) == 0x80) continue;
            var needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
            return needed > count ? count : 0;
        }

        return 0;
    }
}
