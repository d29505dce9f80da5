using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>
/// Whether a pool's class has nodes. A replica that finds none for a while takes the class out of stock for a cool-off that doubles with each failure; then one replica tries again, and
/// the class is back once everything asked for has found its place.
/// </summary>
internal static class NodeStock
{
    /// <summary>The pool's stock after what is seen of it now.</summary>
    public static PoolMemory Update(PoolMemory memory, PoolCapacity capacity, PlannerOptions options, DateTimeOffset now)
    {
        var cooling = memory.OutUntil is { } until && now < until;
        var stuck = capacity.UnschedulableSince.Any(since => now - since >= options.SpillAfter);
        if (stuck && !cooling)
        {
            var failures = Math.Min(memory.StockOuts + 1, 30);
            var pause = Math.Min(options.CoolOff.TotalSeconds * Math.Pow(2, failures - 1), options.LongestCoolOff.TotalSeconds);
            return memory with { StockOuts = failures, OutUntil = now.AddSeconds(pause) };
        }

        if (memory.StockOuts == 0 || cooling || capacity.UnschedulableSince.Count > 0 || memory.Replicas == 0 || Placed(capacity) < memory.Replicas) return memory;

        return memory with { StockOuts = 0, OutUntil = null };
    }

    /// <summary>Most replicas that nodes have room for.</summary>
    public static int Room(PoolMemory memory, PoolCapacity capacity, DateTimeOffset now) => memory.OutUntil switch
    {
        { } until when now < until => Placed(capacity),
        { } => Placed(capacity) + 1,
        null => capacity.Available is { } available ? (int)Math.Min((long)Placed(capacity) + Math.Max(0, available), PlannerWork.MostReplicas) : PlannerWork.MostReplicas,
    };

    /// <summary>Replicas that have a node.</summary>
    public static int Placed(PoolCapacity capacity) =>
        (int)Math.Min((long)Math.Max(0, capacity.Ready) + Math.Max(0, capacity.LoadingSince.Count - capacity.UnschedulableSince.Count), PlannerWork.MostReplicas);
}
