using Serverless.Catalog;

namespace Serverless.Scaler.Keda;

/// <summary>What the metadata of a trigger says, parsed.</summary>
internal sealed record PoolReference
{
    /// <summary>Which pool.</summary>
    public required PoolName Pool { get; init; }

    /// <summary>The metric's name. Default: <c>desired-replicas</c>.</summary>
    public required string MetricName { get; init; }

    /// <summary>How often activity is pushed again while work waits at no ready replica. Default: 5 s.</summary>
    public required TimeSpan Heartbeat { get; init; }
}
