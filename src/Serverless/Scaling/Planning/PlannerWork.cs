using Serverless.Catalog;
using Serverless.Demand;

namespace Serverless.Scaling.Planning;

/// <summary>A demand as the work of one class of replicas. Whatever is negative or not finite counts as nothing.</summary>
internal sealed class PlannerWork(ModelDemand demand, ClassSpeed speed, PoolRole role)
{
    /// <summary>No answer is larger, whatever the inputs; the model's own bound is far below.</summary>
    public const int MostReplicas = 1_000_000;

    // Where roles are split, each role's replicas do their part only. What a prefix cache supplies is held, but not worked on.
    private readonly double _perPromptToken = role == PoolRole.Decode ? 0 : (1 - speed.CachedPromptShare) / speed.PrefillTokensPerSecond;
    private readonly double _perOutputToken = role == PoolRole.Prefill ? 0 : 1 / speed.DecodeTokensPerSecond;

    public ClassSpeed Speed => speed;

    public int Pending => Math.Max(0, demand.PendingRequests);

    public int Running => Math.Max(0, demand.RunningRequests);

    /// <summary>Requests that wait or run.</summary>
    public int Requests => (int)Math.Min((long)Pending + Running, MostReplicas);

    public double PendingPrompt => Positive(demand.PendingPromptTokens);

    public double PendingOutput => Positive(demand.PendingOutputTokens);

    public double PromptRate => Positive(demand.PromptTokensPerSecond);

    public double OutputRate => Positive(demand.OutputTokensPerSecond) * OutputShare;

    private double OutputShare => demand.OutputShare is > 0 and <= 1 ? demand.OutputShare : 1;

    /// <summary>Replica-seconds that wait or run: w.</summary>
    public double Seconds => Of(PendingPrompt, PendingOutput * OutputShare) + Of(0, Positive(demand.RunningOutputTokens) * OutputShare);

    /// <summary>Whether any of it is output: embeddings have none.</summary>
    public bool Decodes => demand.PendingOutputTokens > 0 || demand.RunningOutputTokens > 0 || demand.OutputTokensPerSecond > 0;

    /// <summary>Replicas that what arrives would use fully: R.</summary>
    public double Load => Of(PromptRate, OutputRate);

    /// <summary>The same over the last few seconds; never below the smoothed load.</summary>
    public double Burst => Math.Max(Load, Of(Positive(demand.RecentPromptTokensPerSecond), OutputRate));

    /// <summary>Work by when it is due, the earliest first, as (seconds from now, replica-seconds due by then); the first entry is what somebody waits for.</summary>
    public IReadOnlyList<(double Horizon, double Seconds)> Due(DateTimeOffset now)
    {
        if (demand.Deferred.Count == 0) return [(0, Seconds)];

        var deferred = demand.Deferred.Select(part => (Horizon: Math.Max(0, (part.Due - now).TotalSeconds), Seconds: Of(Positive(part.PromptTokens), Positive(part.OutputTokens) * OutputShare))).OrderBy(part => part.Horizon).ToArray();
        var due = Math.Max(0, Seconds - deferred.Sum(part => part.Seconds));
        List<(double, double)> all = [(0, due)];
        foreach (var part in deferred) all.Add((part.Horizon, due += part.Seconds));
        return all;
    }

    /// <summary>Replicas whose slots the running requests take.</summary>
    public int SlotReplicas => Ceiling((double)Running / speed.Slots);

    /// <summary>Tokens that running work holds or may come to hold. What waits holds none: it is let in only where there is room, and its work is counted as work.</summary>
    public double KvTokens => Positive(demand.RunningTokens);

    /// <summary>N_kv; a request is held by one replica.</summary>
    public int KvReplicas => Math.Min(Ceiling(KvTokens / speed.KvTokens), Running);

    /// <summary>
    /// That load as far as replicas can share it: each carries <paramref name="target"/> of itself, and there are never more of them at work than requests that came lately or are there.
    /// One large request looks like a stream to a smoothed rate; it is not.
    /// </summary>
    public double Shared(double load, double target) => Math.Min(load, target * Sharers);

    /// <summary>Replicas that can be at work at once: no more than there are requests, or came lately.</summary>
    public double Sharers => SharersOf(demand);

    /// <summary>The same, whatever replicas do.</summary>
    public static int SharersOf(ModelDemand demand)
    {
        if (demand.RequestsPerSecond is not { } rate) return MostReplicas;

        var there = (long)Math.Max(0, demand.PendingRequests) + Math.Max(0, demand.RunningRequests);
        return (int)Math.Clamp(Math.Max(there, Ceiling(Positive(rate) * ArrivalRate.DefaultTimeConstant)), 0, MostReplicas);
    }

    public static double Positive(double value) => double.IsFinite(value) && value > 0 ? value : 0;

    public static int Ceiling(double value) => (int)Math.Min(Math.Ceiling(value - 1e-9), MostReplicas);

    private double Of(double prompt, double output) => (prompt * _perPromptToken) + (output * _perOutputToken);
}
