using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>
/// How many replicas do the work that is due by its deadlines: earliest deadline first, present replicas from now, loading ones from when they are up, new ones after a cold start.
/// </summary>
internal static class DrainPlan
{
    /// <summary>The replicas needed; 0 for no work, and never more than there are requests: each runs on one replica.</summary>
    public static int Replicas(PlannerWork work, Presence present, PlannerOptions options, DateTimeOffset now)
    {
        var most = 0;
        foreach (var (horizon, seconds) in work.Due(now)) most = Math.Max(most, Cover(seconds, horizon, work.Speed.ColdStartSeconds, present, options));
        return Math.Min(most, work.Requests);
    }

    /// <summary>
    /// The fewest replicas whose usable seconds by H' = max(H, L + d) cover <paramref name="needed"/>: first those there are, then those on their way, then new ones. A new one is
    /// started only for work worth a share of its own start; loading ones count against that, or each would beget another.
    /// </summary>
    public static int Cover(double needed, double horizon, double coldStart, Presence present, PlannerOptions options)
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
