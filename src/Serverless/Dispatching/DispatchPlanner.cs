using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>
/// (d) Which replica a request goes to. Pure. A request goes where it is understood and fits slots and KV cache; of those, to the replica that costs least by the scorers.
/// Slots are counted in sequences: what asks for eight choices takes eight.
/// </summary>
internal static class DispatchPlanner
{
    /// <summary>What replicas are compared by, with weights: a millisecond of waiting outweighs a whole cache, and that the slots.</summary>
    public static IReadOnlyList<(IReplicaScorer Scorer, double Weight)> Scorers { get; } =
    [
        (new PromptWaitScorer(), 1),
        (new CacheShareScorer(), 1e-3),
        (new SlotShareScorer(), 1e-6),
    ];

    /// <summary>The replica for the request, or null when none has room now.</summary>
    public static ReplicaState? Choose(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas, ReplicaState? reserved = null)
    {
        ReplicaState? best = null;
        var least = double.MaxValue;
        foreach (var replica in replicas)
        {
            if (replica == reserved || !replica.IsReady || !Understands(entry, replica) || !Fits(entry, replica.Worker, replica.Taken, replica.Committed)) continue;

            var cost = 0.0;
            foreach (var (scorer, weight) in Scorers) cost += weight * scorer.Cost(entry, replica, replicas);
            if (cost < least) (best, least) = (replica, cost);
        }

        return best;
    }

    /// <summary>Whether there are workers, and none of them can read the request.</summary>
    public static bool NobodyUnderstands(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas)
    {
        var ready = false;
        foreach (var replica in replicas)
        {
            if (!replica.IsReady) continue;
            if (Understands(entry, replica)) return false;
            ready = true;
        }

        return ready;
    }

    /// <summary>Whether no connected replica could ever hold the prompt and a first token; gives the largest cache. While one loads nothing is for ever: it may be of another size, as in a roll.</summary>
    public static bool NeverFits(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas, out long largest)
    {
        largest = 0;
        foreach (var replica in replicas)
        {
            if (replica.Worker.Loading) return false;
            largest = Math.Max(largest, replica.Worker.KvCapacityTokens);
        }

        return largest > 0 && entry.Request.PromptTokens >= largest;
    }

    /// <summary>Whether any replica but the reserved one has a slot free, or, for those that somebody waits for, one that work of the batch lane would give up.</summary>
    public static bool HasFreeSlot(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas, ReplicaState? reserved)
    {
        foreach (var replica in replicas)
        {
            if (replica != reserved && replica.IsReady && (replica.Taken < replica.Worker.Slots || (replica.HasBatch && entry.Request.Lane != Lane.Batch))) return true;
        }

        return false;
    }

    /// <summary>Whether the replica will have room for it once enough of what it runs has ended.</summary>
    public static bool CouldTake(BacklogEntry entry, ReplicaState replica) => replica.IsReady && Understands(entry, replica) && entry.Request.PromptTokens < replica.Worker.KvCapacityTokens;

    /// <summary>The replica that has least to finish before the request fits it; null: none ever will.</summary>
    public static ReplicaState? Soonest(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas)
    {
        ReplicaState? best = null;
        var least = double.MaxValue;
        foreach (var replica in replicas)
        {
            if (!CouldTake(entry, replica)) continue;

            var over = Math.Max(
                (double)(replica.Committed + entry.ExpectedTokens - replica.Worker.KvCapacityTokens) / replica.Worker.KvCapacityTokens,
                (double)(replica.Taken + entry.Sequences - replica.Worker.Slots) / replica.Worker.Slots);
            if (over < least) (best, least) = (replica, over);
        }

        return best;
    }

    /// <summary>
    /// The replica where a request that somebody waits for gets the place of work of the batch lane, and which of it: where that is least, the youngest first. None, where what is on its way back already
    /// is enough. Null when it helps nowhere.
    /// </summary>
    public static (ReplicaState Replica, IReadOnlyList<TrackedRequest> Preempted)? ChoosePreempted(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas, ReplicaState? reserved = null)
    {
        (ReplicaState Replica, IReadOnlyList<TrackedRequest> Preempted)? best = null;
        if (entry.Request.Lane == Lane.Batch) return best;

        foreach (var replica in replicas)
        {
            if (replica == reserved || !replica.HasBatch || !replica.IsReady || !Understands(entry, replica)) continue;

            var given = new List<TrackedRequest>();
            var (taken, committed) = (replica.Taken, replica.Committed);
            foreach (var request in replica.Running.Values.Where(request => request.Preempted)) Leave(request);
            foreach (var request in replica.Running.Values.Where(IsPreemptible).OrderByDescending(request => request.Request.AcceptedAt))
            {
                if (Fits(entry, replica.Worker, taken, committed)) break;
                given.Add(request);
                Leave(request);
            }

            if (Fits(entry, replica.Worker, taken, committed) && (best is null || given.Count < best.Value.Preempted.Count)) best = (replica, given);

            void Leave(TrackedRequest request) => (taken, committed) = (taken - request.Entry.Sequences, committed - request.Entry.ExpectedTokens);
        }

        return best;
    }

    private static bool IsPreemptible(TrackedRequest request) => request is { Cancelled: false, Preempted: false, Attempt: > 0 } && request.Entry.Request.Lane == Lane.Batch;

    private static bool Understands(BacklogEntry entry, ReplicaState replica) =>
        !entry.NotUnderstoodBy.Contains(replica.Worker.Worker) && replica.Worker.Understands(entry.Request);

    private static bool Fits(BacklogEntry entry, WorkerDescription worker, int taken, long committed)
    {
        if (taken >= worker.Slots || entry.Request.PromptTokens >= worker.KvCapacityTokens) return false;

        // Alone its output may outgrow the cache, and its choices the slots: the engine ends it there, or takes them in turn. Beside others it must fit.
        return taken == 0 || (taken + entry.Sequences <= worker.Slots && committed + entry.ExpectedTokens <= worker.KvCapacityTokens);
    }
}
