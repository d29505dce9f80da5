using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>
/// Spreads a role's load over its pools in their ranking: each takes what its class has nodes for, the rest spills to the next. When a class is back the load returns to it, and what
/// carried it meanwhile stays until the returned replicas are up: there is no gap.
/// </summary>
internal static class PoolSpread
{
    public static List<PoolShare> Spread(IReadOnlyList<PoolNeed> ranked, PlannerMemory memory, DateTimeOffset now)
    {
        List<PoolShare> shares = [];
        var (left, uncarried) = (1.0, 1.0);
        string? spilled = null;
        foreach (var need in ranked)
        {
            var known = memory.Of(need.Pool.Name);
            var wanted = Steady(need, known, left);
            var limit = Stock.Limit(known, need.Capacity, now);
            var started = Math.Min(wanted, limit);
            var kept = shares.Count == 0 ? 0 : Math.Min(Math.Min(Stock.Placed(need.Capacity), known.Replicas), PlannerWork.Ceiling(need.Up * uncarried));
            var note = started < wanted ? Short(need, known, wanted, started, now)
                : left <= 1e-9 ? kept > 0 ? PlannerText.Of($"{ranked[0].Pool.Name} takes the load again and is not all up → keeps {kept}") : PlannerText.Of($"{ranked[0].Pool.Name} is preferred and takes the load → 0")
                : spilled;
            shares.Add(new PoolShare(need, started, kept, note));
            if (need.Up <= 0)
            {
                left = 0;
                continue;
            }

            if (started < wanted) spilled = PlannerText.Of($"{need.Pool.Name} has room for {started} of {wanted}: {(double)(wanted - started) / wanted:P0} of the load spills to here");
            left = started >= wanted ? 0 : Math.Max(0, left - ((double)started / need.Up));
            uncarried = Math.Max(0, uncarried - ((double)Math.Min(need.Capacity.Ready, started) / Math.Max(1, need.Least)));
        }

        // Nobody has room for the rest: the preferred pool asks for it all the same, since what waits for a node is what brings nodes.
        if (left > 1e-9 && shares.Count > 0)
        {
            var started = Math.Max(shares[0].Started, Steady(shares[0].Need, memory.Of(shares[0].Need.Pool.Name), Math.Min(1, ((double)shares[0].Started / Math.Max(1, shares[0].Need.Up)) + left)));
            var most = shares[0].Need.Capacity.Budget ?? started;
            if (started > most) return shares;
            shares[0] = shares[0] with { Started = started, Note = shares.Count == 1 ? null : PlannerText.Of($"no class has room for {left:P0} of the load → {started} here") };
        }

        return shares;
    }

    /// <summary>Up only when what is held falls short, down only past the margin.</summary>
    private static int Steady(PoolNeed need, PoolMemory known, double part)
    {
        if (part <= 1e-9) return 0;

        return known.Replicas < PlannerWork.Ceiling(need.Least * part) ? PlannerWork.Ceiling(need.Up * part) : Math.Min(known.Replicas, PlannerWork.Ceiling(need.Down * part));
    }

    private static string Short(PoolNeed need, PoolMemory known, int wanted, int started, DateTimeOffset now) => need.Capacity.Budget == started
        ? PlannerText.Of($"the budget of {need.Pool.Flavor.AcceleratorClass}, which other models want too, leaves {started} of {wanted}")
        : known.OutUntil is { } until && now < until
        ? PlannerText.Of($"{need.Pool.Flavor.AcceleratorClass} is out of stock ({known.StockOuts} times in a row), tried again in {(until - now).TotalSeconds:F0} s → {started} of {wanted}")
        : PlannerText.Of($"{need.Pool.Flavor.AcceleratorClass} has room for {started} of {wanted} → {started}");
}
