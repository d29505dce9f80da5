namespace Serverless.Dispatching;

/// <summary>One reason to prefer a replica for a request. Pure; a new one is a class here and a line in <see cref="DispatchPlanner.Scorers"/>.</summary>
internal interface IReplicaScorer
{
    /// <summary>What it looks at, for people.</summary>
    string Name { get; }

    /// <summary>What the request costs at that replica, in the scorer's own unit; the least is best. 0 or more, finite.</summary>
    double Cost(BacklogEntry entry, ReplicaState replica, IReadOnlyList<ReplicaState> replicas);
}

/// <summary>Seconds that its prompt waits for other prompts; a replica whose rate is not known yet is taken for the fastest. Room in the cache says nothing of a long prompt that is being worked on.</summary>
internal sealed class PromptWaitScorer : IReplicaScorer
{
    public string Name => "prompt-wait";

    public double Cost(BacklogEntry entry, ReplicaState replica, IReadOnlyList<ReplicaState> replicas)
    {
        if (replica.PromptTokensAhead == 0) return 0;

        var rate = replica.Load.PrefillTokensPerSecond;
        if (rate <= 0)
        {
            rate = 1;
            foreach (var other in replicas) rate = Math.Max(rate, other.Load.PrefillTokensPerSecond);
        }

        return replica.PromptTokensAhead / rate;
    }
}

/// <summary>Share of its KV cache that is spoken for.</summary>
internal sealed class CacheShareScorer : IReplicaScorer
{
    public string Name => "cache-share";

    public double Cost(BacklogEntry entry, ReplicaState replica, IReadOnlyList<ReplicaState> replicas) => Math.Min(1, (double)replica.Committed / replica.Worker.KvCapacityTokens);
}

/// <summary>Share of its slots that is taken.</summary>
internal sealed class SlotShareScorer : IReplicaScorer
{
    public string Name => "slot-share";

    public double Cost(BacklogEntry entry, ReplicaState replica, IReadOnlyList<ReplicaState> replicas) => Math.Min(1, (double)replica.Taken / replica.Worker.Slots);
}
