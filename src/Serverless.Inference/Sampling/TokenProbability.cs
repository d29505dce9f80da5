namespace Serverless.Inference.Sampling;

/// <summary>A token and the natural logarithm of its probability.</summary>
public readonly record struct TokenProbability(int Token, float LogProb);
