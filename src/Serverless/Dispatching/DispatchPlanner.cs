using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>
/// (d) Which replica a request goes to. Pure. A request goes where it fits slots and KV cache, to the replica where its prompt waits least for other prompts; of
/// those alike, to the one with the smallest share of its KV cache spoken for. Room in the cache says nothing of a long prompt that is being worked on.
/// The head of the backlog is never overtaken by a smaller request behind it: that costs some use of the cache and starves nobody.
/// </summary>
internal static class DispatchPlanner
{
    /// <summary>The replica for the request, or null when none has room now.</summary>
    public static ReplicaState? Choose(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas)
    {
        ReplicaState? best = null;
        var bestRank = (Wait: double.MaxValue, Share: double.MaxValue, Taken: int.MaxValue);
        var fastest = 1.0;
        foreach (var replica in replicas) fastest = Math.Max(fastest, replica.Load.PrefillTokensPerSecond);
        foreach (var replica in replicas)
        {
            if (!replica.IsReady || !Fits(entry, replica.Worker, replica.Taken, replica.Committed)) continue;

            var rank = (Wait(replica, fastest), (double)replica.Committed / replica.Worker.KvCapacityTokens, replica.Taken);
            if (rank.CompareTo(bestRank) < 0) (best, bestRank) = (replica, rank);
        }

        return best;
    }

    /// <summary>Whether no connected replica could ever hold the prompt and a first token; gives the largest cache.</summary>
    public static bool NeverFits(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas, out long largest)
    {
        largest = 0;
        foreach (var replica in replicas.Where(replica => !replica.Worker.Loading)) largest = Math.Max(largest, replica.Worker.KvCapacityTokens);
        return largest > 0 && entry.Request.PromptTokens >= largest;
    }

    /// <summary>
    /// Work of the batch lane that must be given back so that a realtime request fits somewhere: on the replica where that is least, the youngest first.
    /// Empty when it helps nowhere, or while some is on its way back already.
    /// </summary>
    public static List<TrackedRequest> ChoosePreempted(BacklogEntry entry, IReadOnlyList<ReplicaState> replicas)
    {
        var best = new List<TrackedRequest>();
        if (entry.Request.Lane != Lane.Realtime) return best;

        foreach (var replica in replicas.Where(replica => replica.IsReady))
        {
            if (replica.Running.Values.Any(request => request.Preempted)) return [];

            var given = new List<TrackedRequest>();
            var (taken, committed) = (replica.Taken, replica.Committed);
            foreach (var request in replica.Running.Values.Where(IsPreemptible).OrderByDescending(request => request.Request.AcceptedAt))
            {
                given.Add(request);
                (taken, committed) = (taken - 1, committed - request.Entry.ExpectedTokens);
                if (!Fits(entry, replica.Worker, taken, committed)) continue;
                if (best.Count == 0 || given.Count < best.Count) best = given;
                break;
            }
        }

        return best;
    }

    private static bool IsPreemptible(TrackedRequest request) => request is { Cancelled: false, Attempt: > 0 } && request.Entry.Request.Lane == Lane.Batch;

    /// <summary>Seconds that a prompt which comes now waits for others; a replica whose rate is not known yet is taken for the fastest.</summary>
    private static double Wait(ReplicaState replica, double fastest) =>
        replica.PromptTokensAhead / (replica.Load.PrefillTokensPerSecond > 0 ? replica.Load.PrefillTokensPerSecond : fastest);

    private static bool Fits(BacklogEntry entry, WorkerDescription worker, int taken, long committed)
    {
        if (taken >= worker.Slots || entry.Request.PromptTokens >= worker.KvCapacityTokens) return false;

        // Alone its output may outgrow the cache: the engine ends it there. Beside others it must fit.
        return taken == 0 || committed + entry.ExpectedTokens <= worker.KvCapacityTokens;
    }
}
