namespace Serverless.Inference.Tokenizers;

/// <summary>Turns text without control tokens into tokens. Thread-safe.</summary>
internal interface ITextEncoder
{
    /// <summary>Bytes that have no token: a text that is made of them is none.</summary>
    IEnumerable<byte> Absent { get; }

    /// <summary>Appends the tokens of <paramref name="text"/>; stops where more than <paramref name="limit"/> are in <paramref name="output"/>.</summary>
    void Encode(ReadOnlySpan<char> text, List<int> output, int limit);
}
