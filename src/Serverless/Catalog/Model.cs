using Serverless.Catalog.Recipes;

namespace Serverless.Catalog;

/// <summary>A served model: what OpenModel and its Playground say, validated and joined.</summary>
public sealed record Model
{
    /// <summary>The name clients ask for.</summary>
    public required ModelName Name { get; init; }

    /// <summary>Family, as in OpenModel (<c>qwen2.5</c>).</summary>
    public required string Family { get; init; }

    /// <summary><c>owned_by</c> in <c>/v1/models</c>.</summary>
    public string OwnedBy { get; init; } = "serverless";

    /// <summary><c>created</c> in <c>/v1/models</c>.</summary>
    public DateTimeOffset CreatedAt { get; init; } = DateTimeOffset.UnixEpoch;

    /// <summary>Where its files are.</summary>
    public required ModelSource Source { get; init; }

    /// <summary>Longest prompt plus output in tokens.</summary>
    public required int ContextTokens { get; init; }

    /// <summary>How tokens are chosen where a request says nothing.</summary>
    public SamplingDefaults Sampling { get; init; } = SamplingDefaults.None;

    /// <summary>Recipe for the engine: <c>in-process</c>, <c>simulated</c>, <c>llamacpp</c>, <c>vllm</c>, …</summary>
    public required string Backend { get; init; }

    /// <summary>What its Playground says of an engine that is started here: arguments and variables of its environment.</summary>
    public RuntimeConfig Runtime { get; init; } = RuntimeConfig.None;

    /// <summary>Ways to run it, the preferred first; at least one.</summary>
    public required IReadOnlyList<Flavor> Flavors { get; init; }

    /// <summary>Bounds for its replicas.</summary>
    public ScalingConfig Scaling { get; init; } = new();

    /// <summary>Its pools, one per flavor and in that order.</summary>
    /// <remarks>A copy (<c>with</c>) takes this along: its own are made when it is asked.</remarks>
    public IReadOnlyList<Pool> Pools => field is [var first, ..] && ReferenceEquals(first.Model, this) ? field : field = [.. Flavors.Select(flavor => new Pool(PoolName.Of(Name, flavor.Name), this, flavor))];

    /// <summary>By value: what a reading says again is the same.</summary>
    public bool Equals(Model? other) =>
        other is not null && Name == other.Name && Family == other.Family && OwnedBy == other.OwnedBy && CreatedAt == other.CreatedAt && Source == other.Source
        && ContextTokens == other.ContextTokens && Sampling == other.Sampling && Backend == other.Backend && Runtime == other.Runtime && Scaling == other.Scaling && Flavors.SequenceEqual(other.Flavors);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Source, ContextTokens, Backend, Scaling, Flavors.Count);
}
