using Serverless.Catalog;

namespace Serverless.Scaling.Capacity;

/// <summary>What there is of a pool: replicas asked for, up and on their way. Immutable.</summary>
public sealed record PoolCapacity
{
    /// <summary>Which pool.</summary>
    public required PoolName Pool { get; init; }

    /// <summary>Replicas asked for (the scale's <c>spec.replicas</c>).</summary>
    public int Desired { get; init; }

    /// <summary>Replicas that take work.</summary>
    public int Ready { get; init; }

    /// <summary>Replicas on their way, each with the moment its start began.</summary>
    public IReadOnlyList<DateTimeOffset> LoadingSince { get; init; } = [];

    /// <summary>Of those on their way, the ones that no node has room for, each with the moment that began. Default: none.</summary>
    public IReadOnlyList<DateTimeOffset> UnschedulableSince { get; init; } = [];

    /// <summary>Replicas that nodes have room for beyond those there are; null: not known.</summary>
    public int? Available { get; init; }

    /// <summary>Replicas that finish their work and leave.</summary>
    public int Draining { get; init; }

    /// <summary>Share of the loading that is done, 0 to 1, of the replica that is furthest; null when none is loading.</summary>
    public double? LoadingProgress { get; init; }

    /// <summary>Whether that one pulls its model's files still, so that the share is of their bytes.</summary>
    public bool Pulling { get; init; }

    /// <summary>The last failed start, if starts fail now; null once one succeeds.</summary>
    public string? LastFailure { get; init; }

    /// <summary>Seconds from asked for to ready of the last cold start; null before the first.</summary>
    public double? LastColdStartSeconds { get; init; }
}
