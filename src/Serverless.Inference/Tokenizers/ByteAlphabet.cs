namespace Serverless.Inference.Tokenizers;

/// <summary>GPT-2's alphabet: each byte as a visible character, so that vocabularies can be written as text.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = Build();
    private static readonly Dictionary<char, byte> Bytes = Characters.Select((character, value) => (character, value)).ToDictionary(pair => pair.character, pair => (byte)pair.value);

    public static char Character(byte value) => Characters[value];

    /// <summary>The bytes that a vocabulary entry stands for; null if it has a character outside the alphabet.</summary>
    public static byte[]? Decode(string entry)
    {
        var bytes = new byte[entry.Length];
        for (var i = 0; i < entry.Length; i++)
        {
            if (!Bytes.TryGetValue(entry[i], out bytes[i])) return null;
        }

        return bytes;
    }

    private static char[] Build()
    {
        var characters = new char[256];
        var next = 256;
        for (var value = 0; value < 256; value++)
        {
            var visible = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[value] = (char)(visible ? value : next++);
        }

        return characters;
    }
}
