using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>The plan while demand cannot be believed: what was asked for stays, and nothing that had work goes to zero.</summary>
internal static class HeldPlan
{
    public static ModelPlan Of(Model model, ModelDemand? demand, PoolCapacity[] states, PlannerMemory memory, DateTimeOffset now)
    {
        // A planner that starts anew beside running replicas knows nothing of their work: what there is stays until demand is heard of.
        var held = states.Select(state => Math.Max(memory.Of(state.Pool).Replicas, demand is null ? Math.Clamp(state.Desired, 0, PlannerWork.MostReplicas) : 0)).ToArray();
        if (memory.LastHadWork && held.All(replicas => replicas == 0)) held[0] = 1;

        var fitted = PoolBounds.Fit(model.Scaling, [.. held.Select(replicas => (replicas, 0))]);
        return new ModelPlan([.. states.Select((state, index) => Decide(state, held[index], fitted[index]))], memory);

        ScaleDecision Decide(PoolCapacity state, int wanted, int replicas)
        {
            var (age, bounds) = (now - demand?.At, model.Scaling);
            var active = PoolPlanner.IsActive(memory.LastHadWork, replicas, state, bounds);
            return new ScaleDecision(state.Pool, now, replicas, active, new LazyReasons(() => Words(age, bounds, wanted, replicas)));
        }
    }

    private static List<string> Words(TimeSpan? age, ScalingConfig bounds, int wanted, int replicas)
    {
        List<string> reasons = [age is { } old ? PlannerText.Of($"demand is {old.TotalSeconds:F0} s old → holds {wanted}") : PlannerText.Of($"no demand seen yet → holds {wanted}")];
        if (replicas != wanted) reasons.Insert(0, PoolPlanner.Bounded(wanted, bounds, replicas));
        return reasons;
    }
}
