namespace Serverless.Catalog.Manifests;

/// <summary>What a model's own file says of it.</summary>
/// <param name="ContextTokens">The longest prompt plus output it was trained for.</param>
public sealed record ModelFacts(int ContextTokens);
