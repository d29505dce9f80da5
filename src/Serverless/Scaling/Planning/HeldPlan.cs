using System.Globalization;
using Serverless.Catalog;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>The plan while demand cannot be believed: what was asked for stays, and no role of a model that had work goes to zero.</summary>
internal static class HeldPlan
{
    /// <summary>Each role's pools in flavor order.</summary>
    /// <param name="model">The model.</param>
    /// <param name="states">What there is of its pools.</param>
    /// <param name="memory">What was asked for before.</param>
    /// <param name="known">Whether there is a demand at all. A planner that starts anew beside running replicas knows nothing of their work: what there is stays until demand is heard of.</param>
    /// <param name="now">Now.</param>
    public static List<PoolShare>[] Of(Model model, PoolCapacity[] states, PlannerMemory memory, bool known, DateTimeOffset now)
    {
        List<PoolShare>[] roles = [.. model.Pools.Zip(states, Share).GroupBy(share => share.Pool.Flavor.Role).Select(role => role.ToList())];
        foreach (var role in roles.Where(role => memory.LastHadWork && role.TrueForAll(share => share.Replicas == 0))) ModelBounds.Place(role, 1, beyondBudget: true);
        foreach (var share in roles.SelectMany(role => role)) (share.Wanted, share.Held) = (share.Replicas, share.Replicas);
        return roles;

        PoolShare Share(Pool pool, PoolCapacity state)
        {
            var held = Math.Max(memory.Of(pool.Name).Replicas, known ? 0 : Math.Clamp(state.Desired, 0, PlannerWork.MostReplicas));
            return new PoolShare(pool, state, NodeStock.Room(memory.Of(pool.Name), state, now), int.MaxValue) { Replicas = held };
        }
    }

    public static List<string> Words(TimeSpan? age, ScalingConfig bounds, int wanted, int replicas)
    {
        List<string> reasons = [age is { } old ? string.Create(CultureInfo.InvariantCulture, $"demand is {old.TotalSeconds:F0} s old → holds {wanted}") : string.Create(CultureInfo.InvariantCulture, $"no demand seen yet → holds {wanted}")];
        if (replicas != wanted) reasons.Insert(0, ModelBounds.Words(wanted, bounds, replicas));
        return reasons;
    }
}
