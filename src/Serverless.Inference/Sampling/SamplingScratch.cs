namespace Serverless.Inference.Sampling;

/// <summary>Memory of one thread that samples, used again for each token.</summary>
/// <param name="vocabulary">Tokens of the model.</param>
internal sealed class SamplingScratch(int vocabulary)
{
    private int[] _matches = [];

    /// <summary>Logits that were changed.</summary>
    public float[] Logits { get; } = new float[vocabulary];

    /// <summary>A weight for each token.</summary>
    public int[] Weights { get; } = new int[vocabulary];

    /// <summary>A candidate for each token.</summary>
    public ulong[] Keys { get; } = new ulong[vocabulary];

    /// <summary>A sum for each block of weights.</summary>
    public long[] Blocks { get; } = new long[(vocabulary + VectorExp.Block - 1) / VectorExp.Block];

    /// <summary>How long the repetition is that each token would go on.</summary>
    public Dictionary<int, int> Repetitions { get; } = [];

    /// <summary>A number for each of so many tokens of text.</summary>
    public Span<int> Matches(int tokens)
    {
        if (_matches.Length < tokens) _matches = new int[Math.Max(tokens, 2 * _matches.Length)];
        return _matches.AsSpan(0, tokens);
    }
}
