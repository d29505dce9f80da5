namespace Serverless.Dispatching;

/// <summary>
/// (d) Which replica a request goes to. Pure. A request goes where it fits slots and KV cache, to the replica with the smallest share of its KV cache spoken for.
/// The head of the backlog is never overtaken by a smaller request behind it: that costs some use of the cache and starves nobody.
/// </summary>
internal static class DispatchPlanner
{
    /// <summary>The replica for the request, or null when none has room now.</summary>
    public static ReplicaState? Choose(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas)
    {
        ReplicaState? best = null;
        var bestShare = double.MaxValue;
        foreach (var replica in replicas)
        {
            if (!Fits(entry, replica)) continue;

            var share = (double)replica.ReservedTokens / replica.Worker.KvCapacityTokens;
            if (share < bestShare || (share == bestShare && replica.Running.Count < best!.Running.Count)) (best, bestShare) = (replica, share);
        }

        return best;
    }

    /// <summary>Whether no connected replica could ever hold the prompt and a first token; gives the largest cache.</summary>
    public static bool NeverFits(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas, out long largest)
    {
        largest = 0;
        foreach (var replica in replicas) largest = Math.Max(largest, replica.Worker.KvCapacityTokens);
        return replicas.Count > 0 && entry.Request.PromptTokens >= largest;
    }

    private static bool Fits(BacklogEntry entry, ReplicaState replica)
    {
        if (replica.Draining || replica.Running.Count >= replica.Worker.Slots || entry.Request.PromptTokens >= replica.Worker.KvCapacityTokens) return false;

        // Alone its output may outgrow the cache: the engine ends it there. Beside others it must fit.
        return replica.Running.Count == 0 || replica.ReservedTokens + entry.ExpectedTokens <= replica.Worker.KvCapacityTokens;
    }
}
