using System.Collections.Immutable;

namespace Serverless.Scaling;

/// <summary>What the planner remembers of a model from one plan to the next. Immutable.</summary>
public sealed record PlannerMemory
{
    /// <summary>Nothing known.</summary>
    public static PlannerMemory Empty { get; } = new();

    /// <summary>What was wanted within the window, oldest first: each entry smaller than those before it.</summary>
    public ImmutableArray<(DateTimeOffset At, int Replicas)> Recent { get; init; } = [];

    /// <summary>Measured μ_p, smoothed; 0 while unknown.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>Measured μ_d, smoothed; 0 while unknown.</summary>
    public double DecodeTokensPerSecond { get; init; }

    /// <summary>Slots of the replicas last seen; 0 while unknown.</summary>
    public int Slots { get; init; }

    /// <summary>KV tokens of the replicas last seen; 0 while unknown.</summary>
    public long KvTokens { get; init; }

    /// <summary>L in seconds, smoothed; 0 while unknown.</summary>
    public double ColdStartSeconds { get; init; }

    /// <summary>The answer of the last believed plan.</summary>
    public int LastReplicas { get; init; }

    /// <summary>Whether the last believed demand held work.</summary>
    public bool LastHadWork { get; init; }
}
