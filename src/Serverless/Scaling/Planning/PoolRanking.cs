using Serverless.Demand;

namespace Serverless.Scaling.Planning;

/// <summary>Which pool takes the load first: the flavors' order, or where all have a price the least cost of the work; before either, whether a cold pool can still meet the earliest deadline.</summary>
internal static class PoolRanking
{
    public static PoolNeed[] Rank(IReadOnlyList<PoolNeed> needs, ModelDemand demand, PlannerOptions options, DateTimeOffset now)
    {
        var priced = needs.All(need => need.Pool.Flavor.HourlyPrice is > 0);
        var left = demand.EarliestDeadline is { } deadline ? (deadline - now).TotalSeconds : double.PositiveInfinity;
        return
        [
            .. needs
                .OrderBy(need => NodeStock.Placed(need.Capacity) == 0 && need.Inputs.ColdStartSeconds + FirstSeconds(need, demand, options) > left)
                .ThenBy(need => priced ? need.Pool.Flavor.HourlyPrice!.Value * UnitSeconds(demand, need.Inputs.PrefillRate, need.Inputs.DecodeRate) : 0),
        ];
    }

    /// <summary>Replica-seconds that a typical request costs at such rates: what classes are compared by.</summary>
    public static double UnitSeconds(ModelDemand demand, double prefillRate, double decodeRate)
    {
        var (prompt, output) = (PlannerWork.Positive(demand.PromptTokensPerSecond), PlannerWork.Positive(demand.OutputTokensPerSecond));
        if (prompt <= 0) (prompt, output) = (PlannerWork.Positive(demand.PendingPromptTokens), PlannerWork.Positive(demand.PendingOutputTokens));
        if (prompt <= 0) (prompt, output) = (1000, 200);
        return (prompt / prefillRate) + (output / decodeRate);
    }

    private static double FirstSeconds(PoolNeed need, ModelDemand demand, PlannerOptions options) =>
        demand.PendingRequests > 0 ? Math.Min(need.Inputs.PendingPromptTokens / demand.PendingRequests / need.Inputs.PrefillRate, options.DrainTime.TotalSeconds) : 0;
}
