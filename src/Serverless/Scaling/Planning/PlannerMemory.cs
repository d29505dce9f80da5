using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>What the planner remembers of a model from one plan to the next. Immutable plain data: it survives a restart as JSON.</summary>
public sealed record PlannerMemory
{
    /// <summary>Nothing known.</summary>
    public static PlannerMemory Empty { get; } = new();

    /// <summary>Learned figures by accelerator class.</summary>
    public ImmutableDictionary<string, LearnedClass> Classes { get; init; } = ImmutableDictionary<string, LearnedClass>.Empty;

    /// <summary>Pools by name.</summary>
    public ImmutableDictionary<string, PoolMemory> Pools { get; init; } = ImmutableDictionary<string, PoolMemory>.Empty;

    /// <summary>Whether the last believed demand held work.</summary>
    public bool LastHadWork { get; init; }

    /// <summary>When there was last work; null before the first.</summary>
    public DateTimeOffset? LastWorkAt { get; init; }

    /// <summary>What is known of a pool.</summary>
    public PoolMemory Of(Catalog.PoolName pool) => Pools.GetValueOrDefault(pool.Value, PoolMemory.Nothing);
}
