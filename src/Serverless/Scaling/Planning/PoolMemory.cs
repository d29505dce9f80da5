using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>What the planner remembers of one pool. Immutable plain data.</summary>
public sealed record PoolMemory
{
    /// <summary>Nothing.</summary>
    public static PoolMemory Nothing { get; } = new();

    /// <summary>What was wanted within the window, oldest first: each entry smaller than those before it.</summary>
    public ImmutableArray<WantedReplicas> Recent { get; init; } = [];

    /// <summary>The last answer.</summary>
    public int Replicas { get; init; }

    /// <summary>The loads that were seen.</summary>
    public LoadHistory Loads { get; init; } = LoadHistory.Nothing;

    /// <summary>Times in a row that the class had no node for a replica.</summary>
    public int StockOuts { get; init; }

    /// <summary>Until then the class is left alone; null when it is in stock.</summary>
    public DateTimeOffset? OutUntil { get; init; }
}
