namespace Serverless.Catalog;

/// <summary>The user's bounds for the replicas of a model, over all its pools.</summary>
public sealed record ScalingConfig
{
    /// <summary>Replicas that stay up without work. Default: 0.</summary>
    public int MinReplicas { get; init; }

    /// <summary>Replicas that are never exceeded; at least 1 and at least <see cref="MinReplicas"/>. Default: 1.</summary>
    public int MaxReplicas { get; init; } = 1;

    /// <summary>How long a pool stays up after its last work. Null: the host's default.</summary>
    public TimeSpan? Cooldown { get; init; }
}
