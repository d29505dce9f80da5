namespace Serverless.Requests;

/// <summary>What a request cost, as the engine counted it.</summary>
/// <param name="PromptTokens">Prompt tokens, cached ones included.</param>
/// <param name="CompletionTokens">Generated tokens over all choices.</param>
/// <param name="CachedTokens">Prompt tokens that a prefix cache supplied.</param>
public sealed record TokenUsage(int PromptTokens, int CompletionTokens, int CachedTokens = 0);
