using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>What the planner remembers of a model from one plan to the next. Immutable plain data: it survives a restart as JSON.</summary>
public sealed record PlannerMemory
{
    /// <summary>Nothing known.</summary>
    public static PlannerMemory Empty { get; } = new();

    /// <summary>Pools by name.</summary>
    public ImmutableDictionary<string, PoolMemory> Pools { get; init; } = ImmutableDictionary<string, PoolMemory>.Empty;

    /// <summary>Whether the last believed demand held work.</summary>
    public bool LastHadWork { get; init; }

    /// <summary>When there was last work; null before the first.</summary>
    public DateTimeOffset? LastWorkAt { get; init; }

    /// <summary>What is known of a pool.</summary>
    public PoolMemory Of(Catalog.PoolName pool) => Pools.GetValueOrDefault(pool.Value, PoolMemory.Nothing);
}

/// <summary>What the planner remembers of one pool. Immutable plain data.</summary>
public sealed record PoolMemory
{
    /// <summary>Nothing.</summary>
    public static PoolMemory Nothing { get; } = new();

    /// <summary>What was wanted within the window, oldest first: each entry smaller than those before it.</summary>
    public ImmutableArray<WantedReplicas> Recent { get; init; } = [];

    /// <summary>The last answer.</summary>
    public int Replicas { get; init; }

    /// <summary>What its replicas were seen to do; null before the first plan. Each pool its own: pools of one class differ in role or parameters.</summary>
    public LearnedRates? Learned { get; init; }

    /// <summary>The loads that were seen.</summary>
    public LoadHistory Loads { get; init; } = LoadHistory.Nothing;

    /// <summary>Times in a row that the class had no node for a replica.</summary>
    public int StockOuts { get; init; }

    /// <summary>Until then the class is left alone; null when it is in stock.</summary>
    public DateTimeOffset? OutUntil { get; init; }

    /// <summary>The same once nothing of the pool is left.</summary>
    internal PoolMemory AtRest() => Replicas == 0 && Recent is [] or [{ Replicas: 0 }] ? this : this with { Recent = [], Replicas = 0 };

    /// <summary>
    /// The window with one more answer: up at once, down only to the most that was wanted within it. The largest comes first and each later entry is smaller: an entry no larger than a newer one can never
    /// count again, so the bounds of the model bound the list whatever the rate of plans. Entries from after <paramref name="now"/> are from before the clock jumped back; they age from now.
    /// </summary>
    internal ImmutableArray<WantedReplicas> RecentWith(int replicas, TimeSpan window, DateTimeOffset now) =>
    [
        .. (Recent.IsDefault ? [] : Recent).Where(entry => entry.Replicas > replicas && now - entry.At < window).Select(entry => entry.At > now ? entry with { At = now } : entry),
        new WantedReplicas(now, replicas),
    ];
}

/// <summary>What one plan wanted.</summary>
/// <param name="At">When.</param>
/// <param name="Replicas">How many.</param>
public readonly record struct WantedReplicas(DateTimeOffset At, int Replicas);
