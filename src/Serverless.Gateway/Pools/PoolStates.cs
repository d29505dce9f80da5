using Serverless.Scaling.Capacity;

namespace Serverless.Gateway.Pools;

/// <summary>From what there is of a pool to its state.</summary>
internal static class PoolStates
{
    public static PoolState Of(PoolCapacity capacity)
    {
        if (capacity.Ready > 0) return PoolState.Ready;
        if (capacity.LastFailure is not null) return PoolState.Failed;
        if (capacity.LoadingSince.Count > 0 || capacity.Desired > 0) return PoolState.Starting;
        return capacity.Draining > 0 ? PoolState.Draining : PoolState.Zero;
    }

    public static string Word(PoolState state) => state switch
    {
        PoolState.Zero => "zero",
        PoolState.Starting => "starting",
        PoolState.Ready => "ready",
        PoolState.Draining => "draining",
        PoolState.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, "Give this state its word in PoolStates.Word."),
    };
}

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
