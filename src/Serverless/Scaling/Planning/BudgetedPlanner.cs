using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>
/// Plans models together where classes have a budget: each as if it were alone, and where a class is asked for more than its budget those that are granted less once more within their grants. Pure, but for
/// the claims of models that are not planned now, which it remembers. Not thread-safe.
/// </summary>
internal sealed class BudgetedPlanner(PoolPlanner planner, PlannerOptions options)
{
    /// <summary>What is cut in one class spills into another; grants only shrink, so a few rounds are all there are.</summary>
    private const int Rounds = 4;

    private readonly Dictionary<PoolName, (string Class, BudgetClaim Claim)> _claims = [];

    /// <summary>A plan for each input, in their order.</summary>
    public ModelPlan[] Plan(IReadOnlyList<PlanInput> inputs, DateTimeOffset now)
    {
        var given = inputs.ToArray();
        var plans = given.Select(input => Plan(input, now)).ToArray();
        if (options.Budgets.Count == 0) return plans;

        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < given.Length; i++) Claim(given[i], plans[i]);
            var grants = Grants();
            var cut = false;
            for (var i = 0; i < given.Length; i++)
            {
                var within = given[i].Capacity.Select(state => grants.TryGetValue(state.Pool, out var most) && !(state.Budget <= most) ? state with { Budget = most } : state).ToArray();
                if (within.SequenceEqual(given[i].Capacity)) continue;

                (given[i], cut) = (given[i] with { Capacity = within }, true);
                plans[i] = Plan(given[i], now);
            }

            if (!cut) break;
        }

        return plans;
    }

    /// <summary>A model that is at rest wants nothing.</summary>
    public void Rest(Model model)
    {
        if (options.Budgets.Count == 0) return;
        foreach (var pool in model.Pools) _claims.Remove(pool.Name);
    }

    private ModelPlan Plan(PlanInput input, DateTimeOffset now) => planner.Plan(input.Model, input.Demand, input.Capacity, input.Memory, now);

    private void Claim(PlanInput input, ModelPlan plan)
    {
        var first = true;
        foreach (var (pool, decision) in input.Model.Pools.Zip(plan.Decisions))
        {
            if (options.Budgets.ContainsKey(pool.Flavor.AcceleratorClass))
            {
                var work = first && plan.Memory.LastHadWork ? 1 : 0;
                var held = Math.Max(Math.Max(work, first ? input.Model.Scaling.MinReplicas : 0), Math.Max(decision.Inputs?.ForKvCache ?? decision.Replicas, decision.Inputs?.ForSlots ?? 0));
                _claims[pool.Name] = (pool.Flavor.AcceleratorClass, new BudgetClaim(pool.Name, Math.Min(held, decision.Replicas), decision.Replicas));
            }

            first = false;
        }
    }

    /// <summary>The grants of pools that are granted less than they want.</summary>
    private Dictionary<PoolName, int> Grants()
    {
        Dictionary<PoolName, int> grants = [];
        foreach (var claims in _claims.Values.GroupBy(entry => entry.Class, entry => entry.Claim, StringComparer.OrdinalIgnoreCase))
        {
            var budget = options.Budgets[claims.Key];
            var wanting = claims.Where(claim => claim.Wanted > 0).ToArray();
            if (wanting.Sum(claim => (long)claim.Wanted) <= budget) continue;

            foreach (var (claim, granted) in wanting.Zip(ClassBudget.Fill(wanting, budget)))
            {
                if (granted < claim.Wanted) grants[claim.Pool] = granted;
            }
        }

        return grants;
    }
}
