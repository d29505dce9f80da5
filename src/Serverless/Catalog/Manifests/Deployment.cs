using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>What a Playground or Service asks for: which model is served, how and how many.</summary>
internal sealed record Deployment(string Kind, string Name, string Model, ManifestFields Spec)
{
    /// <summary>Flavors to use, in that order; empty for all of the model's.</summary>
    public IReadOnlyList<string> InferenceFlavors { get; init; } = [];

    /// <summary>The object that lists <see cref="InferenceFlavors"/>.</summary>
    public required ManifestFields Claim { get; init; }

    public ManifestFields? BackendConfig { get; init; }

    public string? Backend { get; init; }

    /// <summary>The model that drafts for it; null: none.</summary>
    public string? Draft { get; init; }

    /// <summary>What it says of its engine.</summary>
    public RuntimeConfig Runtime { get; init; } = RuntimeConfig.None;

    /// <summary>Its <c>elasticConfig</c>; null where it has none.</summary>
    public ManifestFields? Elastic { get; init; }

    public ScalingConfig Scaling { get; init; } = new();
}
