namespace Serverless.Gateway.Pools;

/// <summary>A pool in one word, for people.</summary>
internal enum PoolState
{
    /// <summary>No replica, and none on its way.</summary>
    Zero,

    /// <summary>Replicas on their way, none takes work yet.</summary>
    Starting,

    /// <summary>At least one replica takes work.</summary>
    Ready,

    /// <summary>The last replicas finish their work and leave.</summary>
    Draining,

    /// <summary>Starts fail and no replica takes work.</summary>
    Failed,
}
