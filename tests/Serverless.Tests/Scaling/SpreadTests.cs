using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>A model on several classes: order, price, room, stock, deadlines, roles, and bounds over all of them.</summary>
public sealed class SpreadTests
{
    private static readonly PoolName First = new("m-a");
    private static readonly PoolName Second = new("m-b");

    [Fact]
    public void The_preferred_flavor_takes_the_load_and_the_rest_spills()
    {
        Answers(Plan(Two(), 20, [Pool(First) with { Available = 2 }, Pool(Second)])).ShouldBe([2, 1]);
        Answers(Plan(Two(), 20, [Pool(First), Pool(Second)])).ShouldBe([3, 0]);
        Answers(Plan(Two(), 20, [Pool(First) with { Available = 0 }, Pool(Second)])).ShouldBe([0, 3]);
    }

    [Fact]
    public void What_no_class_has_room_for_is_asked_of_the_preferred_one_all_the_same()
    {
        var none = Plan(Two(), 20, [Pool(First) with { Available = 0 }, Pool(Second) with { Available = 0 }]);

        Answers(none).ShouldBe([3, 0]);
        none.Decisions[0].Active.ShouldBeTrue();
    }

    [Fact]
    public void A_class_out_of_stock_is_left_for_a_cool_off_that_grows_and_taken_again_without_a_gap()
    {
        var memory = PlannerMemory.Empty;
        var model = Two();

        // Three replicas of a find no node; b starts them after 15 s.
        Step(0, [Pool(First), Pool(Second)]).ShouldBe([3, 0]);
        Step(10, [Stuck(3, 0), Pool(Second)]).ShouldBe([3, 0]);
        Step(16, [Stuck(3, 0), Pool(Second)]).ShouldBe([0, 3]);
        memory.Of(First).OutUntil.ShouldBe(Start.AddSeconds(46));

        // After the cool-off one tries, in vain: twice as long the next time.
        Step(47, [Pool(First), Up(Second, 3)]).ShouldBe([1, 3]);
        Step(63, [Stuck(1, 47), Up(Second, 3)]).ShouldBe([0, 3]);
        memory.Of(First).OutUntil.ShouldBe(Start.AddSeconds(63 + 60));

        // The next one finds a node: the class is back, and b stays until a's replicas are up.
        Step(124, [Pool(First), Up(Second, 3)]).ShouldBe([1, 3]);
        Step(125, [Loading(1, 124), Up(Second, 3)]).ShouldBe([3, 3]);
        Step(136, [Up(First, 2) with { LoadingSince = [Start.AddSeconds(126)] }, Up(Second, 3)])[0].ShouldBe(3);
        Step(200, [Up(First, 3), Up(Second, 3)]).ShouldBe([3, 0]);

        int[] Step(int second, PoolCapacity[] capacity)
        {
            var now = Start.AddSeconds(second);
            var plan = new PoolPlanner(Options with { Window = TimeSpan.FromSeconds(1) }).Plan(model, Busy(now), capacity, memory, now);
            memory = plan.Memory;
            return Answers(plan);
        }

        PoolCapacity Stuck(int count, int since) => Pool(First) with
        {
            Desired = count,
            LoadingSince = [.. Enumerable.Repeat(Start.AddSeconds(since), count)],
            UnschedulableSince = [.. Enumerable.Repeat(Start.AddSeconds(since), count)],
        };

        PoolCapacity Loading(int count, int since) => Pool(First) with { Desired = count, LoadingSince = [.. Enumerable.Repeat(Start.AddSeconds(since), count)] };
    }

    [Fact]
    public void With_prices_the_cheapest_work_comes_first()
    {
        var model = Two(priceA: 3, priceB: 1);

        Answers(Plan(model, 20, [Pool(First), Pool(Second)])).ShouldBe([0, 3]);

        // Four times slower, it is dearer after all.
        var slow = Options with { Priors = new Dictionary<string, ClassPrior> { ["b"] = Options.Prior with { PrefillTokensPerSecond = 250, DecodeTokensPerSecond = 25 } } };
        Answers(Plan(model, 20, [Pool(First), Pool(Second)], options: slow)).ShouldBe([3, 0]);
    }

    [Fact]
    public void From_zero_the_cheapest_class_that_meets_the_deadline_is_started()
    {
        var model = Two(priceA: 3, priceB: 1);
        var options = Options with { Priors = new Dictionary<string, ClassPrior> { ["b"] = Options.Prior with { ColdStart = TimeSpan.FromSeconds(120) } } };

        Answers(Plan(model, 20, [Pool(First), Pool(Second)], options: options, deadline: Start.AddSeconds(60))).ShouldBe([3, 0]);
        Answers(Plan(model, 20, [Pool(First), Pool(Second)], options: options, deadline: Start.AddSeconds(600)))[0].ShouldBe(0);
        Answers(Plan(model, 20, [Pool(First), Up(Second, 1)], options: options, deadline: Start.AddSeconds(60)))[0].ShouldBe(0, "b is up already");
    }

    [Fact]
    public void Bounds_hold_over_all_pools_together()
    {
        Answers(Plan(Two() with { Scaling = new ScalingConfig { MaxReplicas = 4 } }, 200, [Pool(First) with { Available = 2 }, Pool(Second)])).Sum().ShouldBe(4);
        Answers(Plan(Two() with { Scaling = new ScalingConfig { MinReplicas = 2, MaxReplicas = 4 } }, 0, [Pool(First), Pool(Second)])).ShouldBe([2, 0]);
    }

    [Fact]
    public void At_the_bound_a_change_of_class_takes_one_replica_at_a_time()
    {
        Fit(3, (3, 0), (0, 3)).ShouldBe([1, 2]);
        Fit(3, (3, 0), (0, 2)).ShouldBe([2, 1]);
        Fit(1, (1, 0), (0, 1)).ShouldBe([0, 1], "with a bound of one it waits for a pause");

        static int[] Fit(int most, params (int Started, int Kept)[] pools)
        {
            List<PoolShare> role = [.. pools.Zip(Two().Pools, (given, pool) =>
            {
                var share = new PoolShare(pool, Pool(pool.Name), int.MaxValue, int.MaxValue);
                share.Give(given.Started, given.Kept, null);
                return share;
            })];
            ModelBounds.Fit([role], new ScalingConfig { MaxReplicas = most });
            return [.. role.Select(share => share.Replicas)];
        }
    }

    [Fact]
    public void Prefill_and_decode_are_two_demands_in_a_bounded_ratio()
    {
        var model = Two();
        model = model with { Flavors = [model.Flavors[0] with { Role = PoolRole.Prefill }, model.Flavors[1] with { Role = PoolRole.Decode }] };
        var demand = Idle() with { PendingRequests = 16, PendingPromptTokens = 30_000, PendingOutputTokens = 100, RunningRequests = 1, RunningTokens = 100 };

        var plan = new PoolPlanner(Options).Plan(model, demand, [Pool(First), Pool(Second)], PlannerMemory.Empty, Start);

        plan.Decisions[0].Inputs!.WorkSeconds.ShouldBe(30, 1e-9);
        plan.Decisions[1].Inputs!.WorkSeconds.ShouldBe(1, 1e-9);
        Answers(plan).ShouldBe([4, 1]);
        plan.Decisions[0].Reasons.ShouldContain("prefill alone: output tokens are the work of other pools");
        plan.Decisions[1].Reasons.ShouldContain("decode alone: prompt tokens are the work of other pools");
        Balanced(40, 1).ShouldBe([40, 4]);
        Balanced(1, 40).ShouldBe([4, 40]);
        Balanced(3, 0).ShouldBe([3, 0]);

        int[] Balanced(params int[] wanted)
        {
            List<PoolShare>[] roles = [.. wanted.Zip(model.Pools, (replicas, pool) =>
            {
                var share = new PoolShare(pool, Pool(pool.Name), int.MaxValue, int.MaxValue);
                share.Give(replicas, 0, null);
                return new List<PoolShare> { share };
            })];
            PoolSpread.Balance(roles, (0.1, 10));
            return [.. roles.Select(role => role[0].Replicas)];
        }
    }

    private static Model Two(double? priceA = null, double? priceB = null) => Model() with
    {
        Flavors = [new Flavor { Name = "a", AcceleratorClass = "a", HourlyPrice = priceA }, new Flavor { Name = "b", AcceleratorClass = "b", HourlyPrice = priceB }],
    };

    private static PoolCapacity Pool(PoolName name) => new() { Pool = name };

    private static PoolCapacity Up(PoolName name, int ready) => new() { Pool = name, Desired = ready, Ready = ready };

    /// <summary>A load of two replicas at full use: three at 75 %.</summary>
    private static ModelDemand Busy(DateTimeOffset now) => Idle(now) with { RunningRequests = 2, PromptTokensPerSecond = 2000 };

    private static ModelPlan Plan(Model model, double replicaSeconds, PoolCapacity[] capacity, PlannerOptions? options = null, DateTimeOffset? deadline = null) =>
        new PoolPlanner(options ?? Options).Plan(model, (replicaSeconds > 0 ? Backlog(replicaSeconds) : Idle()) with { EarliestDeadline = deadline }, capacity, PlannerMemory.Empty, Start);

    private static int[] Answers(ModelPlan plan) => [.. plan.Decisions.Select(decision => decision.Replicas)];
}
