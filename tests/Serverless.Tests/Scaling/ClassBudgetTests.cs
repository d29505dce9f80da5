using CsCheck;
using Serverless.Catalog;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Several models want one class: who gets it.</summary>
public sealed class ClassBudgetTests
{
    private static readonly Gen<WaterFilling.Vessel[]> Claims = Gen.Select(Gen.Int[0, 5], Gen.Int[0, 40]).Array[0, 12].Select(all => all.Select((claim, index) => new WaterFilling.Vessel($"p{index:D2}", claim.Item1, claim.Item2)).ToArray());

    [Fact]
    public void Nobody_gets_more_than_wanted_or_less_than_held_and_the_budget_is_spent_to_the_last() =>
        Claims.Select(Gen.Int[0, 200]).Sample((claims, budget) =>
        {
            var granted = Fill(claims, budget);

            for (var i = 0; i < claims.Length; i++) granted[i].ShouldBeInRange(Math.Min(claims[i].Held, claims[i].Wanted), claims[i].Wanted);
            granted.Sum().ShouldBe(Math.Max(claims.Sum(claim => Math.Min(claim.Held, claim.Wanted)), Math.Min(budget, claims.Sum(claim => claim.Wanted))));
        });

    [Fact]
    public void A_larger_budget_takes_from_nobody_and_the_order_of_claims_does_not_matter() =>
        Claims.Select(Gen.Int[0, 200], Gen.Int[0, 20]).Sample((claims, budget, more) =>
        {
            var granted = Fill(claims, budget);

            Fill(claims, budget + more).Zip(granted).ShouldAllBe(pair => pair.First >= pair.Second);
            Fill([.. claims.Reverse()], budget).Reverse().ShouldBe(granted);
        });

    /// <summary>Max-min: one replica more for a pool would leave another, which has a smaller share of its want already, with less.</summary>
    [Fact]
    public void No_share_could_grow_but_at_the_cost_of_a_smaller_one() =>
        Claims.Select(Gen.Int[0, 200]).Sample((claims, budget) =>
        {
            var granted = Fill(claims, budget);
            for (var i = 0; i < claims.Length; i++)
            {
                for (var j = 0; j < claims.Length; j++)
                {
                    if (granted[i] >= claims[i].Wanted || granted[j] <= Math.Min(claims[j].Held, claims[j].Wanted)) continue;
                    ((double)granted[i] / claims[i].Wanted).ShouldBeGreaterThanOrEqualTo((granted[j] - 1.0) / claims[j].Wanted);
                }
            }
        });

    [Fact]
    public void Models_that_want_more_than_there_is_get_equal_shares_of_their_wants_and_are_told_why()
    {
        var planner = Planner(budget: 6);

        var plans = planner.Plan([Input("one", 40), Input("two", 20)], Start);

        plans.Select(plan => plan.Decisions[0].Replicas).ShouldBe([4, 2], "8 and 4 were wanted");
        plans[0].Decisions[0].Reasons.ShouldContain("the budget of cpu, which other models want too, leaves 4 of 8");
        Planner(budget: 12).Plan([Input("one", 40), Input("two", 20)], Start).Select(plan => plan.Decisions[0].Replicas).ShouldBe([8, 4]);
    }

    [Fact]
    public void Whoever_works_gets_one_before_anybody_gets_two_even_beyond_the_budget()
    {
        Planner(budget: 3).Plan([Input("one", 400), Input("two", 20), Input("three", 1)], Start).Select(plan => plan.Decisions[0].Replicas).ShouldBe([1, 1, 1]);
        Planner(budget: 0).Plan([Input("one", 400), Input("two", 20)], Start).Select(plan => plan.Decisions[0].Replicas).ShouldBe([1, 1], "nothing pending is answered with zero");
    }

    [Fact]
    public void What_one_class_has_no_budget_for_spills_to_the_next()
    {
        var model = Model("one") with { Flavors = [new Flavor { Name = "a", AcceleratorClass = "a" }, new Flavor { Name = "b", AcceleratorClass = "b" }] };
        var options = Options with { EconomicFactor = 0.01, Budgets = new Dictionary<string, int> { ["a"] = 2 } };
        PoolCapacity[] states = [.. model.Pools.Select(pool => new PoolCapacity { Pool = pool.Name })];

        var plan = new FleetPlanner(new PoolPlanner(options), options).Plan([new PlanInput(model, Backlog(40) with { Model = model.Name }, states, PlannerMemory.Empty)], Start)[0];

        plan.Decisions.Select(decision => decision.Replicas).ShouldBe([2, 6]);
    }

    /// <summary>The cheaper class has no budget, the other no nodes: the one replica is where there is a node for it.</summary>
    [Fact]
    public void Work_has_one_replica_wherever_ranking_and_stock_put_it()
    {
        var options = Options with { Budgets = new Dictionary<string, int> { ["a"] = 0 } };
        var model = Two(priceOfFirst: 1);
        PoolCapacity[] noneOfB = [new PoolCapacity { Pool = model.Pools[0].Name }, new PoolCapacity { Pool = model.Pools[1].Name, Available = 0 }];

        var plan = new FleetPlanner(new PoolPlanner(options), options).Plan([new PlanInput(model, Backlog(40), noneOfB, PlannerMemory.Empty)], Start)[0];
        var dearer = new FleetPlanner(new PoolPlanner(options), options).Plan([new PlanInput(Two(priceOfFirst: 9), Backlog(40), noneOfB, PlannerMemory.Empty)], Start)[0];
        var elsewhere = new FleetPlanner(new PoolPlanner(options), options).Plan([new PlanInput(model, Backlog(40), [noneOfB[0], noneOfB[1] with { Available = 9 }], PlannerMemory.Empty)], Start)[0];

        plan.Decisions.Select(decision => decision.Replicas).ShouldBe([1, 0]);
        plan.Decisions[0].Active.ShouldBeTrue();
        plan.Decisions[0].Reasons[0].ShouldBe("the budget of a, which other models want too, leaves 0 of 6; no other pool has nodes and budget, and work is never left without a replica → 1");
        dearer.Decisions.Sum(decision => decision.Replicas).ShouldBeGreaterThan(0);
        elsewhere.Decisions.Select(decision => decision.Replicas).ShouldBe([0, 6], "where another class has room nothing is asked for beyond the budget");

        static Model Two(double priceOfFirst) => Model("one") with { Flavors = [new Flavor { Name = "a", AcceleratorClass = "a", HourlyPrice = priceOfFirst }, new Flavor { Name = "b", AcceleratorClass = "b", HourlyPrice = 3 }] };
    }

    [Fact]
    public void With_roles_each_has_its_one_beyond_the_budget()
    {
        var options = Options with { Budgets = new Dictionary<string, int> { ["cpu"] = 0 } };
        var model = Model("one") with { Flavors = [new Flavor { Name = "p", AcceleratorClass = "cpu", Role = PoolRole.Prefill }, new Flavor { Name = "d", AcceleratorClass = "cpu", Role = PoolRole.Decode }] };

        var plan = new FleetPlanner(new PoolPlanner(options), options).Plan([new PlanInput(model, Backlog(40), [.. model.Pools.Select(pool => new PoolCapacity { Pool = pool.Name })], PlannerMemory.Empty)], Start)[0];

        plan.Decisions.Select(decision => decision.Replicas).ShouldBe([1, 1]);
    }

    /// <summary>A model that is not planned now keeps its claim; one at rest has none.</summary>
    [Fact]
    public void Who_is_not_planned_now_keeps_a_claim_until_at_rest()
    {
        var planner = Planner(budget: 6);
        planner.Plan([Input("one", 40), Input("two", 40)], Start);

        planner.Plan([Input("two", 40)], Start)[0].Decisions[0].Replicas.ShouldBe(3);
        planner.Rest(Model("one"));
        planner.Plan([Input("two", 40)], Start)[0].Decisions[0].Replicas.ShouldBe(6);
    }

    [Fact]
    public void Together_models_never_exceed_a_budget_that_covers_what_they_hold() =>
        Gen.Select(Gen.Int[0, 300].Array[1, 8], Gen.Int[8, 60]).Sample((works, budget) =>
        {
            var plans = Planner(budget).Plan([.. works.Select((work, index) => Input($"m{index}", work))], Start);

            plans.Sum(plan => plan.Decisions[0].Replicas).ShouldBeLessThanOrEqualTo(budget);
            plans.Zip(works).ShouldAllBe(pair => pair.First.Decisions[0].Replicas > 0 == pair.Second > 0);
        });

    /// <summary>What is held stays, even beyond the budget.</summary>
    private static int[] Fill(IReadOnlyList<WaterFilling.Vessel> claims, int budget) => WaterFilling.Fill(claims, Math.Max(budget, claims.Sum(claim => Math.Min(claim.Held, claim.Wanted))));

    private static FleetPlanner Planner(int budget)
    {
        var options = Options with { EconomicFactor = 0.01, Budgets = new Dictionary<string, int> { ["cpu"] = budget } };
        return new FleetPlanner(new PoolPlanner(options), options);
    }

    private static Model Model(string name) => PlannerScene.Model() with { Name = new ModelName(name) };

    private static PlanInput Input(string name, double replicaSeconds)
    {
        var model = Model(name);
        return new PlanInput(model, (replicaSeconds > 0 ? Backlog(replicaSeconds) : Idle()) with { Model = model.Name }, [new PoolCapacity { Pool = model.Pools[0].Name }], PlannerMemory.Empty);
    }
}
