namespace Serverless.Catalog.Recipes;

/// <summary>What a Playground says of its engine: over the recipe, and under the flavor.</summary>
public sealed record RuntimeConfig
{
    /// <summary>Nothing.</summary>
    public static RuntimeConfig None { get; } = new();

    /// <summary>The image's tag; null: the recipe's.</summary>
    public string? Version { get; init; }

    /// <summary>Which of the recipe's configs; null: by what is asked for.</summary>
    public string? ConfigName { get; init; }

    /// <summary>Arguments after the recipe's, with variables.</summary>
    public IReadOnlyList<string> Args { get; init; } = [];

    /// <summary>Variables of the environment, over the recipe's of the same name.</summary>
    public IReadOnlyList<RecipeVariable> Envs { get; init; } = [];

    /// <summary>Over the recipe's.</summary>
    public ContainerResources Resources { get; init; } = ContainerResources.None;

    /// <summary>Over the recipe's.</summary>
    public string? SharedMemorySize { get; init; }

    /// <inheritdoc/>
    public bool Equals(RuntimeConfig? other) =>
        other is not null && Version == other.Version && ConfigName == other.ConfigName && SharedMemorySize == other.SharedMemorySize && Args.SequenceEqual(other.Args) && Envs.SequenceEqual(other.Envs)
        && Flavor.Same(Resources.Requests, other.Resources.Requests) && Flavor.Same(Resources.Limits, other.Resources.Limits);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Version, ConfigName, Args.Count, Envs.Count, SharedMemorySize);
}
