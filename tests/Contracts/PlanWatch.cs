using Serverless.Catalog;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Tests.Contracts;

/// <summary>Waits for what a scaler serves.</summary>
internal static class PlanWatch
{
    /// <summary>The first decision served of the pool, from now on, that matches.</summary>
    public static async Task<ScaleDecision> UntilAsync(this ScalePlans plans, PoolName pool, Func<ScaleDecision, bool> matches)
    {
        while (true)
        {
            var (decision, changed) = plans.Watch(pool);
            if (decision is not null && matches(decision)) return decision;
            await changed.WithinLimitAsync();
        }
    }
}
