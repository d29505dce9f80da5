using Serverless.Catalog.Recipes;

namespace Serverless.Catalog;

/// <summary>One way to run a model on an accelerator class; a model lists them in order of preference.</summary>
public sealed record Flavor
{
    /// <summary>The parameter that is <see cref="HourlyPrice"/>: the scaler's, no engine's.</summary>
    public const string PriceParam = "pricePerHour";

    /// <summary>The parameter that names its class where that is not its own name.</summary>
    public const string ClassParam = "class";

    /// <summary>The name claims refer to.</summary>
    public required string Name { get; init; }

    /// <summary>The accelerator class, as pools report it: the flavor's name unless the class is declared apart. <c>cpu</c> for the in-process engine.</summary>
    public required string AcceleratorClass { get; init; }

    /// <summary>Resources per replica and host, as in Kubernetes (<c>nvidia.com/gpu: 1</c>).</summary>
    public IReadOnlyDictionary<string, string> Limits { get; init; } = new Dictionary<string, string>();

    /// <summary>Labels a node must have.</summary>
    public IReadOnlyDictionary<string, string> NodeSelector { get; init; } = new Dictionary<string, string>();

    /// <summary>Engine parameters of this flavor (<c>TP</c>, <c>PP</c>, and ours: <c>threads</c>, <c>slots</c>, <c>kvTokens</c>).</summary>
    public IReadOnlyDictionary<string, string> Params { get; init; } = new Dictionary<string, string>();

    /// <summary>What a replica costs an hour, in any currency that all flavors share; null: not known. Default: null.</summary>
    public double? HourlyPrice { get; init; }

    /// <summary>Which part of a request its replicas do. Default: all of it.</summary>
    public PoolRole Role { get; init; }

    /// <summary>How long a first load is expected to take, as its engine reckons; null: nobody knows. Once a load was measured, that counts. Default: null.</summary>
    public TimeSpan? FirstLoad { get; init; }

    /// <summary>A replica of it as a container; null: it is none, or no recipe is known for it. Default: null.</summary>
    public Container? Container { get; init; }

    /// <summary>By value: what a reading says again is the same.</summary>
    public bool Equals(Flavor? other) =>
        other is not null && Name == other.Name && AcceleratorClass == other.AcceleratorClass && HourlyPrice == other.HourlyPrice && Role == other.Role && FirstLoad == other.FirstLoad && Container == other.Container
        && Same(Limits, other.Limits) && Same(NodeSelector, other.NodeSelector) && Same(Params, other.Params);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, AcceleratorClass, HourlyPrice, Role, Params.Count);

    internal static bool Same(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        one.Count == other.Count && one.All(entry => other.TryGetValue(entry.Key, out var value) && value == entry.Value);
}
