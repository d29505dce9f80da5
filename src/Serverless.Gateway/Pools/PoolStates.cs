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
