using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Models as they come: one to three pools, with roles or prices or neither, on classes that others use too, under any bounds, with any demand and any state of their pools.</summary>
internal static class PlannerFleet
{
    public static readonly string[] Classes = ["cpu", "a10", "a100"];

    /// <summary>As shipped; some classes with a budget.</summary>
    public static readonly Gen<PlannerOptions> Shipped =
        from budgets in Gen.Select(Gen.Bool, Gen.Int[0, 12]).Array[3]
        select new PlannerOptions
        {
            Budgets = budgets.Zip(Classes).Where(entry => entry.First.Item1).ToDictionary(entry => entry.Second, entry => entry.First.Item2, StringComparer.OrdinalIgnoreCase),
        };

    /// <summary>Every field of a demand that the planner reads.</summary>
    public static readonly Gen<ModelDemand> Demands =
        from work in Gen.Bool
        from counts in Gen.Select(Gen.Int[0, 60], Gen.Int[0, 60], Gen.Int[0, 30])
        from pending in Gen.Select(Gen.Long[1, 400_000], Gen.Long[0, 100_000])
        from running in Gen.Select(Gen.Long[1, 400_000], Gen.Long[0, 100_000])
        from rates in Gen.Select(Gen.Double[0, 20_000], Gen.Double[0, 2_000], Gen.Double[0, 40_000], Gen.Double[0, 10], Gen.Bool)
        from share in Gen.Double[0, 1]
        from due in Gen.Double[-10, 3600]
        select work
            ? Idle() with
            {
                PendingRequests = counts.Item1,
                RunningRequests = counts.Item2,
                PendingPromptTokens = counts.Item1 > 0 ? pending.Item1 : 0,
                PendingOutputTokens = counts.Item1 > 0 ? pending.Item2 : 0,
                RunningTokens = counts.Item2 > 0 ? running.Item1 : 0,
                RunningOutputTokens = counts.Item2 > 0 ? running.Item2 : 0,
                PromptTokensPerSecond = rates.Item1,
                OutputTokensPerSecond = rates.Item2,
                RecentPromptTokensPerSecond = rates.Item3,
                RequestsPerSecond = rates.Item5 ? rates.Item4 : null,
                OutputShare = share,
                EarliestDeadline = counts.Item1 > 0 ? Start.AddSeconds(due) : null,
                Deferred = counts.Item1 > 0 && counts.Item3 > 0 ? [new DueWork(Start.AddSeconds(due), Math.Min(counts.Item1, counts.Item3), pending.Item1 / 2, pending.Item2 / 2)] : [],
            }
            : Idle();

    public static readonly Gen<Model> Models =
        from shape in Gen.Int[0, 5]
        from flavors in Gen.Select(Gen.OneOf(Classes), Gen.Double[0.5, 5]).Array[3]
        from bounds in Gen.Select(Gen.Int[0, 4], Gen.Int[0, 20])
        select Of(shape, flavors, new ScalingConfig { MinReplicas = bounds.Item1, MaxReplicas = Math.Max(2, bounds.Item1 + bounds.Item2) });

    private static readonly Gen<PoolCapacity> Capacities =
        from counts in Gen.Select(Gen.Int[0, 12], Gen.Int[0, 3])
        from loading in Gen.Double[0, 400].Array[0, 6]
        from stuck in Gen.Int[0, 3]
        from available in Gen.Int[-1, 8]
        from coldStart in Gen.Double[1, 90]
        select new PoolCapacity
        {
            Pool = new PoolName("p"),
            Desired = counts.Item1 + loading.Length,
            Ready = counts.Item1,
            Draining = counts.Item2,
            LoadingSince = [.. loading.Select(age => Start.AddSeconds(-age))],
            UnschedulableSince = [.. loading.Take(stuck).Select(age => Start.AddSeconds(-age))],
            Available = available < 0 ? null : available,
            LastColdStartSeconds = coldStart,
        };

    /// <summary>What one model is planned from: demand and pools of several seconds, and what its replicas report.</summary>
    public static readonly Gen<Member> Members =
        from model in Models
        from steps in Gen.Select(Demands, Capacities.Array[3], Gen.Double[0.1, 90], Gen.Select(Gen.Double[10, 20_000], Gen.Double[1, 3000], Gen.Double[0, 1])).Array[1, 8]
        select new Member(model, [.. steps.Select(step => new Moment(step.Item1, step.Item2, step.Item3, step.Item4))]);

    private static Model Of(int shape, (string Class, double Price)[] flavors, ScalingConfig bounds)
    {
        var pools = shape switch { 0 or 1 => 1, 2 or 3 => 2, _ => 3 };
        var (roles, prices) = (shape is 2 or 4, shape is 3 or 5);
        return Model() with
        {
            Scaling = bounds,
            Flavors = [.. flavors.Take(pools).Select((flavor, index) => new Flavor
            {
                Name = $"f{index}",
                AcceleratorClass = flavor.Class,
                HourlyPrice = prices ? flavor.Price : null,
                Role = !roles ? PoolRole.Both : index == 1 ? PoolRole.Decode : PoolRole.Prefill,
            })],
        };
    }

    internal sealed record Moment(ModelDemand Demand, PoolCapacity[] Pools, double Seconds, (double Prefill, double Decode, double Cached) Rates);

    internal sealed record Member(Model Model, Moment[] Moments)
    {
        public Member Named(string name) => this with { Model = Model with { Name = new ModelName(name), Flavors = [.. Model.Flavors] } };

        /// <summary>The input of that moment, and when it is. Replicas report only where there are some.</summary>
        public PlanInput Input(int moment, DateTimeOffset now, PlannerMemory memory)
        {
            var at = Moments[moment % Moments.Length];
            var states = Model.Pools.Select((pool, index) => at.Pools[index] with { Pool = pool.Name }).ToArray();
            var shift = now - Start;
            var demand = at.Demand with
            {
                Model = Model.Name,
                At = now,
                EarliestDeadline = at.Demand.EarliestDeadline + shift,
                Deferred = [.. at.Demand.Deferred.Select(part => part with { Due = part.Due + shift })],
                Replicas =
                [
                    .. states.SelectMany(state => Enumerable.Range(0, Math.Min(2, state.Ready)).Select(index =>
                        new ReplicaDemand($"{state.Pool}-{index}", state.Pool, false, 1 + index, 16, 0, 32_768, at.Rates.Prefill, at.Rates.Decode) { CachedPromptShare = at.Rates.Cached })),
                ],
            };
            return new PlanInput(Model, demand, [.. states.Select(state => Shifted(state, shift))], memory);
        }

        private static PoolCapacity Shifted(PoolCapacity state, TimeSpan shift) => state with
        {
            LoadingSince = [.. state.LoadingSince.Select(since => since + shift)],
            UnschedulableSince = [.. state.UnschedulableSince.Select(since => since + shift)],
        };
    }
}
