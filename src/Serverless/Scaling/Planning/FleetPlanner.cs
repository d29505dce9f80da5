using System.Collections.Frozen;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>
/// Plans models together where classes have a budget: each is weighed once as if it were alone; where a class is asked for more than its budget <see cref="WaterFilling"/> shares it out, and whoever is
/// granted less spreads its load anew within its grants. Pure, but for the claims of models that are not planned now, which it remembers. Not thread-safe.
/// </summary>
internal sealed class FleetPlanner(PoolPlanner planner, PlannerOptions options)
{
    /// <summary>What is cut in one class spills into another. Wants only grow from round to round, so it ends; few rounds are more than two.</summary>
    private const int Rounds = 8;

    private readonly Dictionary<PoolName, (string Class, WaterFilling.Vessel Claim)> _claims = [];

    /// <summary>A plan for each input, in their order.</summary>
    public ModelPlan[] Plan(IReadOnlyList<PlanInput> inputs, DateTimeOffset now)
    {
        var grants = FrozenDictionary<PoolName, int>.Empty;
        var weighed = inputs.Select(input => planner.Weigh(input.Model, input.Demand, input.Capacity, input.Memory, now)).ToArray();
        var settled = Array.ConvertAll(weighed, model => planner.Settle(model, grants));
        if (options.Budgets.Count > 0) Share(weighed, settled);
        return [.. weighed.Zip(settled, planner.Decide)];
    }

    /// <summary>A model that is at rest wants nothing.</summary>
    public void Rest(Model model)
    {
        if (_claims.Count == 0) return;
        foreach (var pool in model.Pools) _claims.Remove(pool.Name);
    }

    /// <summary>Nobody wants anything.</summary>
    public void Clear() => _claims.Clear();

    /// <summary>What is not in the catalogue any more wants nothing.</summary>
    public void Keep(ModelCatalog catalog)
    {
        foreach (var (pool, claim) in _claims)
        {
            if (catalog.Find(pool)?.Flavor.AcceleratorClass != claim.Class) _claims.Remove(pool);
        }
    }

    private void Share(WeighedModel[] weighed, IReadOnlyList<List<PoolShare>>[] settled)
    {
        foreach (var pool in weighed.SelectMany(model => model.Model.Pools)) _claims.Remove(pool.Name);
        IReadOnlyDictionary<PoolName, int> last = FrozenDictionary<PoolName, int>.Empty;
        for (var round = 0; round < Rounds; round++)
        {
            var grants = Claim(weighed, settled);
            var cut = false;
            for (var i = 0; i < settled.Length; i++)
            {
                if (weighed[i].IsHeld || !weighed[i].Model.Pools.Any(pool => grants.TryGetValue(pool.Name, out var now) && now != last.GetValueOrDefault(pool.Name, -1))) continue;

                (settled[i], cut) = (planner.Settle(weighed[i], grants), true);
            }

            if (!cut) return;
            last = grants;
        }

        Cut(settled, Claim(weighed, settled));
    }

    /// <summary>Should spilling not have ended: what is beyond a grant is not asked for, but for what is held.</summary>
    private static void Cut(IReadOnlyList<List<PoolShare>>[] settled, Dictionary<PoolName, int> grants)
    {
        foreach (var role in settled.SelectMany(model => model))
        {
            foreach (var share in role)
            {
                var most = Math.Max(grants.GetValueOrDefault(share.Pool.Name, int.MaxValue), role.TrueForAll(other => other == share || other.Replicas == 0) ? 1 : 0);
                share.Replicas = Math.Min(share.Replicas, most);
            }
        }
    }

    /// <summary>Takes what these models want, and grants what pools get that are granted less.</summary>
    private Dictionary<PoolName, int> Claim(WeighedModel[] weighed, IReadOnlyList<List<PoolShare>>[] settled)
    {
        for (var i = 0; i < settled.Length; i++)
        {
            // A model's least is held where it is placed.
            var roles = settled[i];
            var least = (weighed[i].Model.Scaling.MinReplicas + roles.Count - 1) / roles.Count;
            foreach (var role in roles)
            {
                var left = least;
                foreach (var share in role)
                {
                    var held = Math.Min(share.Replicas, Math.Max(left, share.Held));
                    left = Math.Max(0, left - held);
                    if (!options.Budgets.ContainsKey(share.Pool.Flavor.AcceleratorClass)) continue;

                    var before = _claims.GetValueOrDefault(share.Pool.Name).Claim;
                    _claims[share.Pool.Name] = (share.Pool.Flavor.AcceleratorClass, new WaterFilling.Vessel(share.Pool.Name.Value, Math.Max(held, before.Held), Math.Max(share.Replicas, before.Wanted)));
                }
            }
        }

        Dictionary<PoolName, int> grants = [];
        foreach (var claims in _claims.GroupBy(entry => entry.Value.Class, StringComparer.OrdinalIgnoreCase))
        {
            var wanting = claims.Where(entry => entry.Value.Claim.Wanted > 0).ToArray();
            var budget = Math.Max(options.Budgets[claims.Key], wanting.Sum(entry => (long)entry.Value.Claim.Held));
            if (wanting.Sum(entry => (long)entry.Value.Claim.Wanted) <= budget) continue;

            foreach (var (claim, granted) in wanting.Zip(WaterFilling.Fill([.. wanting.Select(entry => entry.Value.Claim)], budget)))
            {
                if (granted < claim.Value.Claim.Wanted) grants[claim.Key] = granted;
            }
        }

        return grants;
    }
}

/// <summary>What a model's plan is made from.</summary>
/// <param name="Model">The model.</param>
/// <param name="Demand">Its latest demand; null when nobody has spoken.</param>
/// <param name="Capacity">The state of its pools, in flavor order.</param>
/// <param name="Memory">The last plan's memory.</param>
internal sealed record PlanInput(Model Model, ModelDemand? Demand, PoolCapacity[] Capacity, PlannerMemory Memory);
