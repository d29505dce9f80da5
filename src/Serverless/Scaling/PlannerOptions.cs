namespace Serverless.Scaling;

/// <summary>The planner's constants; the symbols are those of <c>docs/scaling.md</c>.</summary>
public sealed record PlannerOptions
{
    /// <summary>ρ*: share of a replica's throughput that steady load may use. Raising it saves replicas and lengthens queues. Default: 0.75.</summary>
    public double TargetUtilisation { get; init; } = 0.75;

    /// <summary>d: how long pending work may take to drain once replicas are up. Raising it saves replicas. Default: 5 s.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>θ: share of a KV cache that is planned for. Default: 0.85.</summary>
    public double KvTarget { get; init; } = 0.85;

    /// <summary>a: no replica is started for less work than this share of its own cold start. Default: 0.75.</summary>
    public double EconomicFactor { get; init; } = 0.75;

    /// <summary>W: replicas go down only to the most that was wanted in this time. Default: 30 s.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Demand older than this is not believed: the last plan holds. Default: 5 s.</summary>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>L before the first start was seen. Default: 3 s.</summary>
    public TimeSpan ColdStartPrior { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>μ_p before it was measured, tokens per second of one replica. Default: 1,000.</summary>
    public double PrefillPrior { get; init; } = 1000;

    /// <summary>μ_d before it was measured, tokens per second of one replica over all it runs. Default: 200.</summary>
    public double DecodePrior { get; init; } = 200;

    /// <summary>Slots and KV tokens of a replica before one was seen. Default: 16 and 32,768.</summary>
    public (int Slots, long KvTokens) ReplicaPrior { get; init; } = (16, 32768);
}
