using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>
/// How many replicas do the work that is due by its deadlines: earliest deadline first, present replicas from now, loading ones from when they are up, new ones after a cold start.
/// </summary>
internal static class DrainPlan
{
    /// <summary>The replicas needed; 0 for no work, and never more than there are requests: each runs on one replica.</summary>
    public static int Replicas(PlannerWork work, PresentReplicas present, PlannerOptions options, DateTimeOffset now)
    {
        var most = 0;
        foreach (var (horizon, seconds) in work.Due(now)) most = Math.Max(most, Cover(seconds, horizon, work.Speed.ColdStartSeconds, present, options));
        return Math.Min(most, work.Requests);
    }

    /// <summary>
    /// The fewest replicas whose usable seconds by H' = max(H, L + d) cover <paramref name="needed"/>: first those there are, then those on their way, then new ones. A new one is
    /// started only for work worth a share of its own start; loading ones count against that, or each would beget another.
    /// </summary>
    public static int Cover(double needed, double horizon, double coldStart, PresentReplicas present, PlannerOptions options)
    {
        if (needed <= 1e-9) return 0;

        var until = Math.Max(horizon, coldStart + options.DrainTime.TotalSeconds);
        var usable = present.Ready * until;
        if (usable >= needed) return Math.Min(present.Ready, PlannerWork.Ceiling(needed / until));

        for (var i = 0; i < present.ReadyIn.Count; i++)
        {
            usable += Math.Max(0, until - present.ReadyIn[i]);
            if (usable >= needed) return present.Ready + i + 1;
        }

        var fresh = Math.Ceiling((needed - usable) / (until - coldStart));
        var economic = Math.Max(0, Math.Ceiling(needed / (options.EconomicFactor * coldStart)) - present.ReadyIn.Count);
        return (int)Math.Min(present.Counted + Math.Min(fresh, economic), PlannerWork.MostReplicas);
    }
}

/// <summary>The replicas there are of a pool, for the drain: who works now and who will when.</summary>
/// <param name="Ready">Take work.</param>
/// <param name="ReadyIn">Of those on their way and counted on, seconds until each is up, the nearest first.</param>
/// <param name="Overdue">On their way for so long that they are not counted on.</param>
internal sealed record PresentReplicas(int Ready, IReadOnlyList<double> ReadyIn, int Overdue)
{
    /// <summary>Loading replicas are counted on for so many cold starts.</summary>
    public const double Expiry = 3;

    /// <summary>Ready and counted on.</summary>
    public int Counted => Ready + ReadyIn.Count;

    public static PresentReplicas Of(PoolCapacity capacity, double coldStart, DateTimeOffset now)
    {
        var ready = Math.Clamp(capacity.Ready, 0, PlannerWork.MostReplicas);
        if (capacity.LoadingSince.Count == 0) return new PresentReplicas(ready, [], 0);

        var ages = capacity.LoadingSince.Select(since => Math.Max(0, (now - since).TotalSeconds)).ToArray();
        var counted = ages.Where(age => age <= Expiry * coldStart).OrderDescending().Select(age => Math.Max(0, coldStart - age)).ToArray();
        return new PresentReplicas(ready, counted, ages.Length - counted.Length);
    }

    /// <summary>This and what another pool's replicas do of the same work, one of them counting as <paramref name="share"/> of one of these; whole ones only.</summary>
    public PresentReplicas And(PresentReplicas other, double share) => new(
        (int)Math.Min(Ready + (long)(other.Ready * share), PlannerWork.MostReplicas),
        [.. ReadyIn.Concat(other.ReadyIn.Take((int)Math.Min(other.ReadyIn.Count * share, other.ReadyIn.Count))).Order()],
        Overdue);
}
