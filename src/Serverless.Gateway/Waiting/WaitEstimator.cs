using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Gateway.Pools;
using Serverless.Requests;
using Serverless.Scaling.Capacity;

namespace Serverless.Gateway.Waiting;

/// <summary>
/// How long a request waits. Pure.
/// <code>
///   cold start (only with no replica ready) + (pending tokens that are served before it + a part of what runs, if all slots are taken) / drain rate
/// </code>
/// </summary>
internal static class WaitEstimator
{
    /// <summary>A cold start may be faster than the last one, hardly more than twice.</summary>
    private const double FastestColdStart = 0.5;

    /// <summary>Half of all requests take longer at a replica than the average: this many times it is what most end within.</summary>
    private const double LongRun = 1.25;

    /// <param name="model">The model asked for.</param>
    /// <param name="demand">Its published demand, or null.</param>
    /// <param name="pools">What there is of its pools.</param>
    /// <param name="place">Who asks: what is ahead of it.</param>
    /// <param name="priors">What is assumed where nothing was measured.</param>
    /// <param name="now">The time.</param>
    public static WaitEstimate Estimate(Model model, ModelDemand? demand, IReadOnlyList<PoolCapacity> pools, FairPlace place, WaitOptions priors, DateTimeOffset now)
    {
        var ahead = place.TokensAhead(demand);
        var ready = pools.Sum(pool => pool.Ready);
        var (cold, soonestCold) = ready > 0 ? (TimeSpan.Zero, TimeSpan.Zero) : ColdStart(model, pools, priors, now);
        var measured = MeasuredRate(demand);
        var rate = measured > 0 ? measured : priors.TokensPerSecond * Math.Max(1, ready);

        var work = ahead + (ready > 0 ? TokensToAFreeSlot(demand) : 0);
        TimeSpan? expected = work == 0 ? cold : rate > 0 && cold is { } start ? start + Seconds(work / rate) : null;

        var soonest = soonestCold + (measured > 0 ? Seconds(ahead / (measured * Growth(model, ready))) : TimeSpan.Zero);
        return new WaitEstimate(ahead, expected, soonest);
    }

    /// <summary>
    /// Its answer is not complete before that: the soonest that it is taken up, and what requests take of late. Where there is nothing else to do it is tried all the same: that is how an expectation
    /// that was wrong is found out, and how a model whose clients are all in a hurry is started at all.
    /// </summary>
    public static TimeSpan SoonestEnd(WaitEstimate estimate, Model model, ModelDemand? demand, IReadOnlyList<PoolCapacity> pools, InferenceRequest request)
    {
        if (estimate.TokensAhead > 0 || demand is { HasWork: true }) return estimate.Soonest + ((demand?.RunTime(MostOutput(request)) ?? TimeSpan.Zero) * LongRun / Growth(model, pools.Sum(pool => pool.Ready)));
        return pools.Any(pool => pool.Desired > 0 || pool.Ready > 0 || pool.LoadingSince.Count > 0) ? estimate.Soonest : TimeSpan.Zero; // of a start under way it is known how long it takes
    }

    /// <summary>What a request adds to the queue: its prompt, and as much output as others gave of late. A cap says little of the output, so before the first it is not guessed from that.</summary>
    public static long ExpectedTokens(ModelDemand? demand, InferenceRequest request) =>
        request.PromptTokens + Math.Min(MostOutput(request), (long)Math.Ceiling(demand?.RunOutputTokens ?? 0));

    /// <summary>When a full queue is worth another try: once what it holds now has been drained. Null while no rate is known.</summary>
    public static TimeSpan? DrainTime(ModelDemand? demand)
    {
        var rate = MeasuredRate(demand);
        return demand is null || rate <= 0 ? null : Seconds((demand.PendingPromptTokens + demand.PendingOutputTokens) / rate);
    }

    private static long MostOutput(InferenceRequest request) => request.MaxTotalTokens - request.PromptTokens;

    /// <summary>More replicas than now would be faster by as much.</summary>
    private static double Growth(Model model, int ready) => Math.Max(1, (double)model.Scaling.MaxReplicas / Math.Max(1, ready));

    /// <summary>All slots taken: on average one is free after a running request's share of what they all still have to do.</summary>
    private static long TokensToAFreeSlot(ModelDemand? demand)
    {
        if (demand is null || demand.RunningRequests == 0 || demand.Replicas.Count == 0) return 0;

        foreach (var replica in demand.Replicas)
        {
            if (!replica.Draining && replica.Running < replica.Slots) return 0;
        }

        return demand.RunningOutputTokens / demand.RunningRequests;
    }

    /// <summary>The drain rate, or, before there was a queue to drain, what the replicas generate.</summary>
    private static double MeasuredRate(ModelDemand? demand)
    {
        if (demand is null) return 0;
        return Math.Max(demand.ServedTokensPerSecond, demand.Replicas.Sum(replica => replica.Draining ? 0 : replica.DecodeTokensPerSecond));
    }

    /// <summary>
    /// Of the pool that is first: what is left of its start, expected and at best. It is as long as the last one was; before the first as long as its engine reckons, or as is assumed of all
    /// where that cannot tell. Nothing is promised while starts fail.
    /// </summary>
    private static (TimeSpan? Expected, TimeSpan Soonest) ColdStart(Model model, IReadOnlyList<PoolCapacity> pools, WaitOptions priors, DateTimeOffset now)
    {
        var (expected, soonest) = ((TimeSpan?)null, TimeSpan.MaxValue);
        foreach (var pool in pools)
        {
            var failing = PoolStates.Of(pool) == PoolState.Failed;
            var whole = pool.LastColdStartSeconds is { } last ? Seconds(last) : model.Pools.FirstOrDefault(own => own.Name == pool.Pool)?.Flavor.FirstLoad ?? priors.ColdStart;
            var since = pool.LoadingSince.Count > 0 ? now - pool.LoadingSince.Min() : TimeSpan.Zero;
            var left = whole > since ? whole - since : TimeSpan.Zero;
            if (!failing && (expected is null || left < expected)) expected = left;

            var best = pool.LastColdStartSeconds is null ? TimeSpan.Zero : (whole * FastestColdStart) - since;
            if (best < soonest) soonest = best > TimeSpan.Zero ? best : TimeSpan.Zero;
        }

        return (expected, soonest == TimeSpan.MaxValue ? TimeSpan.Zero : soonest);
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(Math.Min(seconds, 1e8));
}

/// <summary>What a request waits for, as far as it can be told.</summary>
/// <param name="TokensAhead">Tokens of pending work that is served before it.</param>
/// <param name="Expected">How long until it is taken up; null where nothing honest can be said.</param>
/// <param name="Soonest">It is not taken up before that, even if every replica that may be started is; zero where nothing is known.</param>
internal readonly record struct WaitEstimate(long TokensAhead, TimeSpan? Expected, TimeSpan Soonest);
