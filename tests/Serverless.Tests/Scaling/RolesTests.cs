using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Prefill and decode apart, and two pools of one class: each has its part of the bounds, learns for itself and remembers its loads.</summary>
public sealed class RolesTests
{
    private static readonly PlannerOptions Shipped = new() { Prior = Options.Prior };

    [Fact]
    public void At_the_most_each_role_has_its_share_of_it()
    {
        var plan = Plan(Split(max: 4), Idle() with { PendingRequests = 64, PendingPromptTokens = 60_000, PendingOutputTokens = 6_000 });

        Answers(plan).ShouldBe([2, 2]);
        plan.Decisions.ShouldAllBe(decision => decision.Reasons[0].EndsWith("wanted, 0 to 4 allowed → 2", StringComparison.Ordinal));
        Answers(Plan(Split(max: 2), Idle() with { PendingRequests = 64, PendingPromptTokens = 600_000, PendingOutputTokens = 600 })).ShouldBe([1, 1], "a flood of prompts leaves decoding its one");
    }

    [Fact]
    public void The_least_is_shared_by_the_roles_and_held_by_the_pool_that_has_nodes()
    {
        Answers(Plan(Split(min: 2, max: 4), Idle())).ShouldBe([1, 1]);
        Answers(Plan(Split(min: 3, max: 4), Idle())).Sum().ShouldBe(3);

        var two = Split(min: 2, max: 4) with { Flavors = [.. Split().Flavors.Select(flavor => flavor with { Role = PoolRole.Both })] };
        Answers(Plan(two, Idle(), capacity: [new PoolCapacity { Pool = two.Pools[0].Name, Available = 0 }, new PoolCapacity { Pool = two.Pools[1].Name }])).ShouldBe([0, 2]);
    }

    [Fact]
    public void Two_pools_of_one_class_both_learn_what_they_do()
    {
        var memory = PlannerMemory.Empty;
        var model = Split();
        ModelPlan? plan = null;
        for (var second = 1; second <= 60; second++)
        {
            var demand = Idle(Start.AddSeconds(second)) with
            {
                RunningRequests = 32,
                Replicas = [Replica(model.Pools[0].Name, prefill: 9000, decode: 0), Replica(model.Pools[1].Name, prefill: 0, decode: 800)],
            };
            plan = Plan(model, demand, memory);
            memory = plan.Memory;
        }

        plan!.Decisions[0].Inputs!.PrefillRate.ShouldBe(9000, 90);
        plan.Decisions[1].Inputs!.DecodeRate.ShouldBe(800, 80);
    }

    [Fact]
    public void Flavors_of_one_class_share_neither_rates_nor_cold_starts()
    {
        var memory = PlannerMemory.Empty;
        var model = Split() with { Flavors = [.. Split().Flavors.Select(flavor => flavor with { Role = PoolRole.Both })] };
        ModelPlan? plan = null;
        for (var second = 1; second <= 60; second++)
        {
            var demand = Idle(Start.AddSeconds(second)) with { RunningRequests = 32, Replicas = [Replica(model.Pools[0].Name, 1000, 100), Replica(model.Pools[1].Name, 4000, 400)] };
            plan = Plan(model, demand, memory, [State(0, 20), State(1, 60)]);
            memory = plan.Memory;
        }

        plan!.Decisions.Select(decision => decision.Inputs!.PrefillRate).ShouldBe([1000, 4000], 40);
        plan.Decisions.Select(decision => decision.Inputs!.ColdStartSeconds).ShouldBe([20, 60], "each its own, once");

        PoolCapacity State(int pool, double coldStart) => new() { Pool = model.Pools[pool].Name, LastColdStartSeconds = coldStart };
    }

    [Theory]
    [InlineData(PoolRole.Prefill, 3000.0, 0.0)]
    [InlineData(PoolRole.Decode, 0.0, 300.0)]
    [InlineData(PoolRole.Both, 3000.0, 0.0)] // embeddings: nothing is ever decoded
    public void Pools_that_only_prefill_or_only_decode_remember_their_loads_too(PoolRole role, double prompts, double outputs)
    {
        var memory = PlannerMemory.Empty;
        var model = Split() with { Flavors = [Split().Flavors[0] with { Role = role }] };
        ModelPlan? plan = null;
        for (var second = 1; second <= 90; second++)
        {
            var busy = second < 60;
            plan = Plan(model, Idle(Start.AddSeconds(second)) with
            {
                RunningRequests = busy ? 16 : 0,
                PromptTokensPerSecond = busy ? prompts : 0,
                RecentPromptTokensPerSecond = busy ? prompts : 0,
                OutputTokensPerSecond = busy ? outputs : 0,
                Replicas = [Replica(model.Pools[0].Name, role == PoolRole.Decode ? 0 : 1000, outputs > 0 ? 100 : 0)],
            }, memory);
            memory = plan.Memory;
        }

        plan!.Decisions[0].Inputs!.Warm.ShouldBe(3, "what nine tenths of the work took is kept through the cooldown");
    }

    private static Model Split(int min = 0, int max = 1000) => Model(min, max) with
    {
        Flavors = [new Flavor { Name = "prefill", AcceleratorClass = "a", Role = PoolRole.Prefill }, new Flavor { Name = "decode", AcceleratorClass = "a", Role = PoolRole.Decode }],
    };

    private static ReplicaDemand Replica(PoolName pool, double prefill, double decode) => new($"{pool}-0", pool, false, 16, 16, 0, 32_768, prefill, decode);

    private static ModelPlan Plan(Model model, ModelDemand demand, PlannerMemory? memory = null, PoolCapacity[]? capacity = null) =>
        new PoolPlanner(Shipped).Plan(model, demand, capacity ?? [.. model.Pools.Select(pool => new PoolCapacity { Pool = pool.Name })], memory ?? PlannerMemory.Empty, demand.At);

    private static int[] Answers(ModelPlan plan) => [.. plan.Decisions.Select(decision => decision.Replicas)];
}
