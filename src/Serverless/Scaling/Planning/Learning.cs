using System.Collections.Immutable;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>Learns, per accelerator class, what replicas report. Pure.</summary>
internal static class Learning
{
    private const double CachedStep = 0.1;
    private const double MostCached = 0.9;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public static ImmutableDictionary<string, LearnedClass> Learn(
        Model model, ModelDemand demand, IReadOnlyList<PoolCapacity> capacity, ImmutableDictionary<string, LearnedClass> classes, PlannerOptions options)
    {
        for (var i = 0; i < model.Pools.Count; i++)
        {
            var pool = model.Pools[i];
            var name = pool.Flavor.AcceleratorClass;
            var old = classes.GetValueOrDefault(name, LearnedClass.Nothing);
            var prior = ClassSpeed.PriorOf(options, name);
            var learned = i < capacity.Count ? ColdStart(old, capacity[i].LastColdStartSeconds ?? 0) : old;

            // A report is learned from once: demand comes ten times a second, figures do not. A clock that jumped back begins anew.
            var age = demand.At - old.LearnedAt;
            var replicas = demand.Replicas.Where(replica => replica.Pool == pool.Name).ToArray();
            if (replicas.Length > 0 && (age >= Interval || age < TimeSpan.Zero)) learned = Rates(learned, replicas, prior, demand);
            if (!ReferenceEquals(learned, old)) classes = classes.SetItem(name, learned);
        }

        return classes;
    }

    private static LearnedClass Rates(LearnedClass learned, ReplicaDemand[] replicas, ClassPrior prior, ModelDemand demand)
    {
        var prefill = learned.PrefillTokensPerSecond > 0 ? learned.PrefillTokensPerSecond : prior.PrefillTokensPerSecond;
        var steps = learned.Steps;
        var measured = learned.PrefillTokensPerSecond > 0;

        // One sample a class and second, the median over its replicas: a sick replica does not speak for the others. A step's time goes with the batch it was seen at.
        if (Median(replicas.Select(replica => replica.PrefillTokensPerSecond)) is { } rate) (prefill, measured) = (Robust.Move(prefill, rate), true);
        foreach (var (sequences, seconds) in Steps(replicas)) steps = DecodeCurve.Learn(steps, prior, sequences, seconds);

        var held = demand.RunningRequests > 0 && demand.RunningTokens > 0 ? (double)demand.RunningTokens / demand.RunningRequests : 0;
        return learned with
        {
            PrefillTokensPerSecond = measured ? prefill : 0,
            CachedPromptShare = Cached(learned.CachedPromptShare, replicas),
            Steps = steps,
            Slots = Math.Max(1, replicas.Max(replica => replica.Slots)),
            KvTokens = Math.Max(1, replicas.Max(replica => replica.KvCapacityTokens)),
            TokensPerRequest = !Robust.Usable(held) ? learned.TokensPerRequest : learned.TokensPerRequest <= 0 ? held : Robust.Move(learned.TokensPerRequest, held),
            LearnedAt = demand.At,
        };
    }

    private static LearnedClass ColdStart(LearnedClass learned, double seconds)
    {
        if (!Robust.Usable(seconds) || seconds == learned.LastColdStartSeconds) return learned;

        // The first is taken as it is: a prior knows neither the model's size nor the node's disk, and starts are rare.
        if (learned.ColdStartSeconds <= 0) return learned with { ColdStartSeconds = seconds, ColdStartDeviation = 0, LastColdStartSeconds = seconds };

        var mean = Robust.Move(learned.ColdStartSeconds, seconds);
        var off = Math.Min(Math.Abs(seconds - learned.ColdStartSeconds), learned.ColdStartSeconds);
        return learned with { ColdStartSeconds = mean, ColdStartDeviation = learned.ColdStartDeviation + (Robust.Step * (off - learned.ColdStartDeviation)), LastColdStartSeconds = seconds };
    }

    /// <summary>A share is between 0 and 1, so a sample moves it by a tenth of the difference; caches that hold nearly everything are not relied on to do so for the next request.</summary>
    private static double Cached(double learned, ReplicaDemand[] replicas)
    {
        var shares = replicas.Select(replica => replica.CachedPromptShare).OfType<double>().Where(double.IsFinite).Order().ToArray();
        return shares.Length == 0 ? learned : learned + (CachedStep * (Math.Clamp(shares[shares.Length / 2], 0, MostCached) - learned));
    }

    /// <summary>The median step of each size of batch that runs now: how a step grows with its batch is seen where batches differ.</summary>
    private static IEnumerable<(double Sequences, double Seconds)> Steps(ReplicaDemand[] replicas) => replicas
        .Where(replica => replica.Running > 0 && Robust.Usable(replica.DecodeTokensPerSecond))
        .Select(replica => (Sequences: (double)replica.Running, Seconds: replica.Running / replica.DecodeTokensPerSecond))
        .GroupBy(step => DecodeCurve.Bucket(step.Sequences))
        .Select(steps => steps.OrderBy(step => step.Seconds).ElementAt(steps.Count() / 2));

    private static double? Median(IEnumerable<double> values)
    {
        var sorted = values.Where(Robust.Usable).Order().ToArray();
        return sorted.Length == 0 ? null : sorted[sorted.Length / 2];
    }
}
