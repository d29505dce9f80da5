namespace Serverless.Inference.Sampling;

/// <summary>A token of a prompt, and how probable it was after those before it.</summary>
/// <param name="Token">The token.</param>
/// <param name="LogProb">The natural logarithm of its probability; NaN for the first, which nothing comes before.</param>
/// <param name="Top">The most probable tokens at its place, as many as asked for; none at the first.</param>
public readonly record struct ScoredToken(int Token, float LogProb, IReadOnlyList<TokenProbability> Top);
