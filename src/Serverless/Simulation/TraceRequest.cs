namespace Serverless.Simulation;

/// <summary>One request of a recorded load.</summary>
/// <param name="At">Seconds since the trace began.</param>
/// <param name="PromptTokens">Length of its prompt, at least 1.</param>
/// <param name="OutputTokens">Tokens it generated, at least 1.</param>
public readonly record struct TraceRequest(double At, int PromptTokens, int OutputTokens);
