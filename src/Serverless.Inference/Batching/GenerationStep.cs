using Serverless.Inference.Sampling;

namespace Serverless.Inference.Batching;

/// <summary>One token of a generation.</summary>
/// <param name="Position">Its place in the output, from 0.</param>
/// <param name="Token">The token.</param>
/// <param name="Text">Text that became ready with it; empty while bytes of a character or a possible stop string are held back.</param>
/// <param name="HeldBack">What is held back after it, as UTF-8.</param>
/// <param name="LogProb">Its log-probability, if asked for; else 0.</param>
/// <param name="Top">The most probable tokens at its place, as many as asked for.</param>
/// <param name="Finish">Set on the last token.</param>
public readonly record struct GenerationStep(
    int Position, int Token, string Text, ReadOnlyMemory<byte> HeldBack, float LogProb, IReadOnlyList<TokenProbability> Top, GenerationFinish? Finish)
{
    /// <summary>Tokens of the prompt that were in the cache when it began.</summary>
    public int Cached { get; init; }

    /// <summary>On the first token, where they were asked for: the prompt's tokens with their probabilities; else none.</summary>
    public IReadOnlyList<ScoredToken> Prompt { get; init; } = [];
}
