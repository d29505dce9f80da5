namespace Serverless.Cli.Client;

/// <summary>How to answer.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Temperature">0 is greedy; null: nothing is said, so the model's own sampling defaults hold.</param>
/// <param name="MaxTokens">Cap of the answer; null: what the context leaves.</param>
internal sealed record ChatSettings(string Model, double? Temperature, int? MaxTokens);
