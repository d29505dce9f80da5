using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>Learns, for each pool, what its replicas report. Pure.</summary>
internal static class Learning
{
    private const double CachedStep = 0.1;
    private const double MostCached = 0.9;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>What is known of the pool after that demand and that state of it.</summary>
    public static LearnedRates Learn(LearnedRates old, Pool pool, ModelDemand demand, PoolCapacity capacity, PlannerOptions options)
    {
        var learned = ColdStart(old, capacity.LastColdStartSeconds ?? 0);
        if (demand.Replicas.Count == 0) return learned;

        // A report is learned from once: demand comes ten times a second, figures do not. A clock that jumped back begins anew.
        var age = demand.At - old.LearnedAt;
        if (age < Interval && age >= TimeSpan.Zero) return learned;

        var replicas = demand.Replicas.Where(replica => replica.Pool == pool.Name).ToArray();
        return replicas.Length > 0 ? Rates(learned, replicas, options.PriorOf(pool.Flavor.AcceleratorClass), demand) : learned;
    }

    private static LearnedRates Rates(LearnedRates learned, ReplicaDemand[] replicas, ClassPrior prior, ModelDemand demand)
    {
        // One sample a pool and second, the median over its replicas: a sick replica does not speak for the others. A step's time goes with the batch it was seen at.
        if (Median(replicas.Select(replica => replica.PrefillTokensPerSecond)) is { } rate) learned = learned.WithPrefill(rate, prior);
        var steps = learned.Steps.IsDefault ? [] : learned.Steps;
        foreach (var (sequences, seconds) in Steps(replicas)) steps = DecodeCurve.Learn(steps, prior, sequences, seconds);

        var held = demand.RunningRequests > 0 && demand.RunningTokens > 0 ? (double)demand.RunningTokens / demand.RunningRequests : 0;
        return learned with
        {
            CachedPromptShare = Cached(learned.CachedPromptShare, replicas),
            Steps = steps,
            Slots = Math.Max(1, replicas.Max(replica => replica.Slots)),
            KvTokens = Math.Max(1, replicas.Max(replica => replica.KvCapacityTokens)),
            TokensPerRequest = !ClippedMean.Usable(held) ? learned.TokensPerRequest : learned.TokensPerRequest <= 0 ? held : ClippedMean.Move(learned.TokensPerRequest, held),
            LearnedAt = demand.At,
        };
    }

    private static LearnedRates ColdStart(LearnedRates learned, double seconds)
    {
        if (!ClippedMean.Usable(seconds) || seconds == learned.LastColdStartSeconds) return learned;

        // The first is taken as it is: a prior knows neither the model's size nor the node's disk, and starts are rare.
        if (learned.ColdStartSeconds <= 0) return learned with { ColdStartSeconds = seconds, ColdStartDeviation = 0, LastColdStartSeconds = seconds };

        var mean = ClippedMean.Move(learned.ColdStartSeconds, seconds);
        var off = Math.Min(Math.Abs(seconds - learned.ColdStartSeconds), learned.ColdStartSeconds);
        return learned with { ColdStartSeconds = mean, ColdStartDeviation = learned.ColdStartDeviation + (ClippedMean.Step * (off - learned.ColdStartDeviation)), LastColdStartSeconds = seconds };
    }

    /// <summary>A share is between 0 and 1, so a sample moves it by a tenth of the difference; caches that hold nearly everything are not relied on to do so for the next request.</summary>
    private static double Cached(double learned, ReplicaDemand[] replicas)
    {
        var shares = replicas.Select(replica => replica.CachedPromptShare).OfType<double>().Where(double.IsFinite).Order().ToArray();
        return shares.Length == 0 ? learned : learned + (CachedStep * (Math.Clamp(shares[shares.Length / 2], 0, MostCached) - learned));
    }

    /// <summary>The median step of each size of batch that runs now: how a step grows with its batch is seen where batches differ.</summary>
    private static IEnumerable<(double Sequences, double Seconds)> Steps(ReplicaDemand[] replicas) => replicas
        .Where(replica => replica.Running > 0 && ClippedMean.Usable(replica.DecodeTokensPerSecond))
        .Select(replica => (Sequences: (double)replica.Running, Seconds: replica.Running / replica.DecodeTokensPerSecond))
        .GroupBy(step => DecodeCurve.Bucket(step.Sequences))
        .Select(steps => steps.OrderBy(step => step.Seconds).ElementAt(steps.Count() / 2));

    private static double? Median(IEnumerable<double> values)
    {
        var sorted = values.Where(ClippedMean.Usable).Order().ToArray();
        return sorted.Length == 0 ? null : sorted[sorted.Length / 2];
    }
}
