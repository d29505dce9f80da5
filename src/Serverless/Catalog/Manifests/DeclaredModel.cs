namespace Serverless.Catalog.Manifests;

/// <summary>An OpenModel as it was written: valid by itself, not yet joined with what serves it.</summary>
internal sealed record DeclaredModel(string Name, ManifestFields Spec)
{
    public string? Family { get; init; }

    public string? OwnedBy { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>Null where it is wrong and reported.</summary>
    public ModelSource? Source { get; init; }

    public int? ContextTokens { get; init; }

    public SamplingDefaults Sampling { get; init; } = SamplingDefaults.None;

    public IReadOnlyList<DeclaredFlavor> Flavors { get; init; } = [];
}
