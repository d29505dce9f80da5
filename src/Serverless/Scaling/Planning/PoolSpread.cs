using System.Globalization;
using Serverless.Catalog;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>
/// Spreads a role's load over its pools in their ranking: each takes what its class has nodes and budget for, the rest spills to the next. When a class is back the load returns to it, and what
/// carried it meanwhile stays until the returned replicas are up: there is no gap.
/// </summary>
internal static class PoolSpread
{
    /// <summary>Each pool's share, in the ranking.</summary>
    /// <param name="ranked">What each would need for all of it.</param>
    /// <param name="memory">What was asked for before.</param>
    /// <param name="grants">What budgets leave pools that want more; who is not named is not bounded.</param>
    /// <param name="now">Now.</param>
    public static List<PoolShare> Spread(IReadOnlyList<PoolNeed> ranked, PlannerMemory memory, IReadOnlyDictionary<PoolName, int> grants, DateTimeOffset now)
    {
        List<PoolShare> shares = [];
        var (left, uncarried) = (1.0, 1.0);
        string? spilled = null;
        foreach (var need in ranked)
        {
            var known = memory.Of(need.Pool.Name);
            var share = new PoolShare(need.Pool, need.Capacity, NodeStock.Room(known, need.Capacity, now), grants.GetValueOrDefault(need.Pool.Name, int.MaxValue)) { Need = need };
            var wanted = Steady(need, known, left);
            var started = Math.Min(wanted, share.Limit);
            var kept = shares.Count == 0 ? 0 : Math.Min(Math.Min(Math.Min(NodeStock.Placed(need.Capacity), known.Replicas), share.Granted), PlannerWork.Ceiling(need.Up * uncarried));
            share.Give(started, kept, started < wanted ? Short(share, known, wanted, started, now)
                : left <= 1e-9 ? kept > 0 ? $"{ranked[0].Pool.Name} takes the load again and is not all up → keeps {Text(kept)}" : $"{ranked[0].Pool.Name} is preferred and takes the load → 0"
                : spilled);
            shares.Add(share);
            if (need.Up <= 0)
            {
                left = 0;
                continue;
            }

            if (started < wanted) spilled = string.Create(CultureInfo.InvariantCulture, $"{need.Pool.Name} has room for {started} of {wanted}: {(double)(wanted - started) / wanted:P0} of the load spills to here");
            left = started >= wanted ? 0 : Math.Max(0, left - ((double)started / need.Up));
            uncarried = Math.Max(0, uncarried - ((double)Math.Min(need.Capacity.Ready, started) / Math.Max(1, need.Least)));
        }

        AskAllTheSame(shares, memory, left);
        Hold(shares);
        return shares;
    }

    /// <summary>Prefill and decode in a bounded ratio: a flood of one kind must not leave the other unable to pass the work on. Raised, never lowered; a role that needs none stays as it is.</summary>
    public static void Balance(IReadOnlyList<List<PoolShare>> roles, (double Least, double Most) prefillPerDecode)
    {
        var prefill = roles.FirstOrDefault(role => role[0].Pool.Flavor.Role == PoolRole.Prefill);
        var decode = roles.FirstOrDefault(role => role[0].Pool.Flavor.Role == PoolRole.Decode);
        if (prefill is null || decode is null) return;

        var (prefills, decodes) = (prefill.Sum(share => share.Started), decode.Sum(share => share.Started));
        if (prefills <= 0 || decodes <= 0) return;

        var least = Math.Max(prefills, PlannerWork.Ceiling(decodes * prefillPerDecode.Least));
        Raise(prefill, least - prefills);
        Raise(decode, PlannerWork.Ceiling(least / prefillPerDecode.Most) - decodes);

        static void Raise(List<PoolShare> role, int by)
        {
            if (by <= 0) return;

            var had = role.ConvertAll(share => share.Replicas);
            ModelBounds.Place(role, by, beyondBudget: false);
            foreach (var (share, before) in role.Zip(had))
            {
                if (share.Replicas > before) share.Give(share.Replicas, share.Kept, $"{Text(share.Replicas - before)} more for the ratio of prefill to decode");
            }
        }
    }

    /// <summary>Nobody has room for the rest: the preferred pool asks for it all the same, as far as its budget goes, since what waits for a node is what brings nodes.</summary>
    private static void AskAllTheSame(List<PoolShare> shares, PlannerMemory memory, double left)
    {
        if (left <= 1e-9 || shares is not [{ Need: { } need } first, ..]) return;

        var started = Math.Min(first.Granted, Steady(need, memory.Of(first.Pool.Name), Math.Min(1, ((double)first.Started / Math.Max(1, need.Up)) + left)));
        if (started > first.Started) first.Give(started, first.Kept, shares.Count == 1 ? first.Note : string.Create(CultureInfo.InvariantCulture, $"no class has room for {left:P0} of the load → {started} here"));
    }

    /// <summary>Work that is there has one replica, whatever the budgets: where there is a node for it, else at the preferred pool. And what running work is in is held.</summary>
    private static void Hold(List<PoolShare> shares)
    {
        if (shares.TrueForAll(share => share.Replicas == 0) && shares.Exists(share => share.Need!.HasWork))
        {
            ModelBounds.Place(shares, 1, beyondBudget: true);
            foreach (var share in shares.Where(share => share.Replicas > 0)) share.Give(1, 0, $"{share.Note ?? "work is there"}; no other pool has nodes and budget, and work is never left without a replica → 1");
        }

        var left = 1.0;
        foreach (var share in shares)
        {
            var whole = Math.Max(share.Need!.Inputs.ForKvCache, share.Need.Inputs.ForSlots);
            share.Held = Math.Min(share.Started, PlannerWork.Ceiling(whole * left));
            if (whole > 0) left = Math.Max(0, left - ((double)share.Held / whole));
        }
    }

    /// <summary>Up only when what is held falls short, down only past the margin.</summary>
    private static int Steady(PoolNeed need, PoolMemory known, double part)
    {
        if (part <= 1e-9) return 0;

        return known.Replicas < PlannerWork.Ceiling(need.Least * part) ? PlannerWork.Ceiling(need.Up * part) : Math.Min(known.Replicas, PlannerWork.Ceiling(need.Down * part));
    }

    private static string Short(PoolShare share, PoolMemory known, int wanted, int started, DateTimeOffset now) => share.Granted == started
        ? string.Create(CultureInfo.InvariantCulture, $"the budget of {share.Pool.Flavor.AcceleratorClass}, which other models want too, leaves {started} of {wanted}")
        : known.OutUntil is { } until && now < until
        ? string.Create(CultureInfo.InvariantCulture, $"{share.Pool.Flavor.AcceleratorClass} is out of stock ({known.StockOuts} times in a row), tried again in {(until - now).TotalSeconds:F0} s → {started} of {wanted}")
        : string.Create(CultureInfo.InvariantCulture, $"{share.Pool.Flavor.AcceleratorClass} has room for {started} of {wanted} → {started}");

    private static string Text(int replicas) => replicas.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A pool's part of its role's load, while a plan is being made.</summary>
/// <param name="pool">Which.</param>
/// <param name="capacity">What there is of it.</param>
/// <param name="room">Most replicas that nodes have room for.</param>
/// <param name="granted">Most replicas that the budget of its class leaves it.</param>
internal sealed class PoolShare(Pool pool, PoolCapacity capacity, int room, int granted)
{
    public Pool Pool => pool;

    public PoolCapacity Capacity => capacity;

    public int Room => room;

    public int Granted => granted;

    /// <summary>Most that may be started.</summary>
    public int Limit => Math.Min(room, granted);

    /// <summary>What it would need for all of the load; null where demand is not believed.</summary>
    public PoolNeed? Need { get; init; }

    /// <summary>Replicas for the part it is given.</summary>
    public int Started { get; private set; }

    /// <summary>Replicas that stay because pools before it do not carry their part yet; they are not started for it.</summary>
    public int Kept { get; private set; }

    /// <summary>Why it is not the whole load; null when it is.</summary>
    public string? Note { get; private set; }

    /// <summary>Replicas that running work is in.</summary>
    public int Held { get; set; }

    /// <summary>Replicas to ask for.</summary>
    public int Replicas { get; set; }

    /// <summary>What was wanted before the model's bounds.</summary>
    public int Wanted { get; set; }

    /// <summary>The window with this plan.</summary>
    public System.Collections.Immutable.ImmutableArray<WantedReplicas> Recent { get; set; }

    /// <summary>Whether all of it only stays until others are up.</summary>
    public bool IsOnlyKept => Kept > Started && Kept >= Replicas;

    public void Give(int started, int kept, string? note) => (Started, Kept, Note, Replicas) = (started, kept, note, Math.Max(started, kept));
}
