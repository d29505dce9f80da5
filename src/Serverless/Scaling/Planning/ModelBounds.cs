using System.Globalization;
using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>A model's bounds hold over all its pools together; where prefill and decode are split, each has its part of them.</summary>
internal static class ModelBounds
{
    /// <summary>Fits what pools are to have, each role in its ranking, into the bounds.</summary>
    public static void Fit(IReadOnlyList<IReadOnlyList<PoolShare>> roles, ScalingConfig bounds)
    {
        // What stays up without work can begin with any request, so where the least allows it each role has one.
        if (roles.Count > 1 && bounds.MinReplicas >= roles.Count)
        {
            foreach (var role in roles) Place(role, 1 - Total(role), beyondBudget: true);
        }

        var totals = roles.Select(Total).ToArray();
        var total = totals.Sum(replicas => (long)replicas);
        if (total < bounds.MinReplicas)
        {
            var raised = WaterFilling.Fill([.. totals.Select((replicas, role) => new WaterFilling.Vessel(Name(role), replicas, bounds.MinReplicas))], bounds.MinReplicas);
            for (var i = 0; i < roles.Count; i++) Place(roles[i], raised[i] - totals[i], beyondBudget: true);
        }
        else if (total > bounds.MaxReplicas)
        {
            var lowered = WaterFilling.Fill([.. roles.Select((role, index) => new WaterFilling.Vessel(Name(index), Math.Max(1, role.Sum(share => share.Held)), totals[index]))], bounds.MaxReplicas);
            for (var i = 0; i < roles.Count; i++) Lower(roles[i], lowered[i]);
        }
    }

    /// <summary>
    /// Gives a role so many more: where there are nodes and budget for them. What must be (<paramref name="beyondBudget"/>) goes where there are at least nodes then, and the preferred pool is asked for the rest
    /// all the same, since what waits for a node is what brings nodes.
    /// </summary>
    public static void Place(IReadOnlyList<PoolShare> role, int missing, bool beyondBudget)
    {
        foreach (var share in role) Add(share, share.Limit);
        if (beyondBudget)
        {
            foreach (var share in role) Add(share, share.Room);
        }

        Add(role[0], beyondBudget ? int.MaxValue : role[0].Granted);

        void Add(PoolShare share, int most)
        {
            var more = Math.Clamp(most - share.Replicas, 0, Math.Max(0, missing));
            (share.Replicas, missing) = (share.Replicas + more, missing - more);
        }
    }

    /// <summary>That bounds changed what was wanted.</summary>
    public static string Words(int wanted, ScalingConfig bounds, int replicas) =>
        string.Create(CultureInfo.InvariantCulture, $"{wanted} wanted, {bounds.MinReplicas} to {bounds.MaxReplicas} allowed → {replicas}");

    /// <summary>
    /// Replicas that only carry the load until preferred ones are up count first, or there would be a gap; while they fill the bound one of them at a time makes room for a preferred one, so a change of
    /// class ends (with a bound of one it waits for a pause).
    /// </summary>
    private static void Lower(IReadOnlyList<PoolShare> role, int most)
    {
        var last = most > 1 ? role.LastOrDefault(share => share.IsOnlyKept) : null;
        var fitted = WaterFilling.Fill([.. role.Select((share, rank) => new WaterFilling.Vessel(string.Empty, share.IsOnlyKept ? share.Replicas - (share == last ? 1 : 0) : 0, share.Replicas, rank))], most);
        for (var i = 0; i < role.Count; i++) role[i].Replicas = fitted[i];
    }

    private static int Total(IReadOnlyList<PoolShare> role) => (int)Math.Min(role.Sum(share => (long)share.Replicas), int.MaxValue);

    private static string Name(int role) => role.ToString(CultureInfo.InvariantCulture);
}
