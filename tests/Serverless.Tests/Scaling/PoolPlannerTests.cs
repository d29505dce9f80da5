using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

public sealed class PoolPlannerTests
{
    [Fact]
    public void Work_that_was_told_of_before_a_planner_could_believe_it_is_not_answered_with_zero()
    {
        var plan = Plan(Backlog(30), now: Start.AddSeconds(60));

        plan.Decisions[0].Active.ShouldBeTrue();
        plan.Decisions[0].Replicas.ShouldBe(1);
        Plan(Idle(), now: Start.AddSeconds(60)).Decisions[0].Replicas.ShouldBe(0);
    }

    [Fact]
    public void Nothing_to_do_is_zero_and_inactive()
    {
        var decision = Plan(Idle()).Decisions.ShouldHaveSingleItem();

        decision.Replicas.ShouldBe(0);
        decision.Active.ShouldBeFalse();
        decision.Pool.ShouldBe(PoolOfModel);
        decision.Reasons.ShouldNotBeEmpty();
    }

    [Fact]
    public void One_small_request_at_a_cold_pool_is_one_replica()
    {
        var decision = Plan(Idle() with { PendingRequests = 1, PendingPromptTokens = 5, PendingOutputTokens = 16 }).Decisions[0];

        decision.Replicas.ShouldBe(1);
        decision.Active.ShouldBeTrue();
    }

    [Theory]
    [InlineData(20, 3)] // 20 s of work in 5 s would take 4; the 10 s of a start pay for 20 / 7.5 → 3 of them
    [InlineData(100, 14)]
    [InlineData(3, 1)]
    public void A_cold_pool_gets_what_drains_its_backlog_but_no_start_for_less_than_it_costs(double replicaSeconds, int replicas) =>
        Replicas(Backlog(replicaSeconds)).ShouldBe(replicas);

    [Theory]
    [InlineData(15, 1)] // one ready replica does 15 s of work by the time a new one would have helped
    [InlineData(16, 2)]
    [InlineData(30, 4)] // 15 are left for new ones, 5 s each
    public void Ready_replicas_work_while_new_ones_start(double replicaSeconds, int replicas) =>
        Replicas(Backlog(replicaSeconds), Capacity(ready: 1)).ShouldBe(replicas);

    [Fact]
    public void A_pool_larger_than_its_work_shrinks_to_what_covers_it() => Replicas(Backlog(25), Capacity(ready: 8)).ShouldBe(2);

    [Fact]
    public void Replicas_on_their_way_are_counted_on() =>
        Replicas(Backlog(40), Capacity(0, [.. Enumerable.Repeat(Start.AddSeconds(-9), 3)])).ShouldBe(3, "three replicas, up in a second, do 14 s each by the horizon");

    [Fact]
    public void A_start_that_hangs_for_three_cold_starts_is_not_counted_on_and_said_so()
    {
        var decision = Plan(Backlog(20), Capacity(0, Start.AddSeconds(-31))).Decisions[0];

        decision.Replicas.ShouldBe(3, "as for an empty pool");
        decision.Reasons.ShouldContain(reason => reason.Contains("1 replicas load for more than 3 cold starts", StringComparison.Ordinal));
    }

    [Fact]
    public void A_steady_stream_is_served_below_full_load()
    {
        var demand = Idle() with { RunningRequests = 1, PromptTokensPerSecond = 1000, OutputTokensPerSecond = 50 };

        Replicas(demand).ShouldBe(2, "(1000 / 1000 + 50 / 100) / 0.75");
    }

    [Fact]
    public void Running_work_keeps_the_memory_it_holds()
    {
        var demand = Idle() with { RunningRequests = 4, RunningTokens = 60_000 };

        Replicas(demand).ShouldBe(3, "60,000 / (32,768 × 0.85)");
    }

    [Fact]
    public void A_long_queue_needs_no_memory_before_it_runs()
    {
        var one = Idle() with { PendingRequests = 1600, PendingPromptTokens = 160_000, RunningRequests = 1 };

        var decision = Plan(one, Capacity(ready: 12)).Decisions[0];

        decision.Replicas.ShouldBe(11, "160 s of work at 15 s each");
    }

    [Fact]
    public void Running_requests_keep_the_slots_they_are_in() => Replicas(Idle() with { RunningRequests = 33 }, Capacity(ready: 3)).ShouldBe(3);

    [Fact]
    public void What_a_replica_holds_replaces_what_was_assumed_at_once()
    {
        var small = new ReplicaDemand("r", PoolOfModel, false, 0, 4, 0, 8192, 0, 0);

        var plan = Plan(Idle() with { RunningRequests = 9, RunningTokens = 14_000, Replicas = [small] });

        plan.Decisions[0].Replicas.ShouldBe(3, "nine requests in slots of four; 14,000 / (8,192 × 0.85) would take as many");
    }

    [Fact]
    public void The_reasons_read_as_an_account_and_the_inputs_are_kept()
    {
        var options = new PlannerOptions { Prior = new ClassPrior { PrefillTokensPerSecond = 1333, ColdStart = TimeSpan.FromSeconds(14) } };

        var decision = Plan(Idle() with { PendingRequests = 16, PendingPromptTokens = 12_400 }, options: options).Decisions[0];

        decision.Reasons[0].ShouldBe("12,400 prompt and 0 output tokens pending, 0 requests running = 9.3 replica-seconds; target 5 s; cold start 14.0 s; 0 up or loading → 2");
        decision.Inputs.ShouldNotBeNull().ShouldSatisfyAllConditions(
            inputs => inputs.WorkSeconds.ShouldBe(9.3, 0.01),
            inputs => inputs.ForBacklog.ShouldBe(2),
            inputs => inputs.Wanted.ShouldBe(2),
            inputs => inputs.ColdStartSeconds.ShouldBe(14));
    }

    [Fact]
    public void Bounds_hold_and_the_reason_says_so()
    {
        Plan(Backlog(1000), model: Model(max: 3)).Decisions[0].ShouldSatisfyAllConditions(
            decision => decision.Replicas.ShouldBe(3),
            decision => decision.Reasons[0].ShouldContain("0 to 3 allowed"));
        Plan(Idle(), model: Model(min: 2)).Decisions[0].ShouldSatisfyAllConditions(
            decision => decision.Replicas.ShouldBe(2),
            decision => decision.Active.ShouldBeTrue("KEDA must not take a pool with a minimum to zero"));
    }

    [Fact]
    public void A_burst_goes_up_at_once_and_down_when_the_window_has_passed()
    {
        var memory = PlannerMemory.Empty;
        List<int> answers = [];
        foreach (var (second, work) in new[] { (0, 0.0), (1, 20), (2, 20), (3, 1), (20, 0), (31, 0), (32, 0), (33, 0), (50, 0) })
        {
            var at = Start.AddSeconds(second);
            var plan = Plan(work > 0 ? Backlog(work, at) : Idle(at), Capacity(ready: answers.LastOrDefault()), memory: memory);
            memory = plan.Memory;
            answers.Add(plan.Decisions[0].Replicas);
        }

        answers.ShouldBe([0, 3, 3, 3, 3, 2, 1, 0, 0]); // of the second 20 s of work the three that are there by then do their part
    }

    [Fact]
    public void A_pool_is_inactive_as_soon_as_it_has_no_work_whatever_the_window_holds()
    {
        var busy = Plan(Backlog(20));
        var idle = Plan(Idle(Start.AddSeconds(1)), memory: busy.Memory);

        idle.Decisions[0].ShouldSatisfyAllConditions(decision => decision.Replicas.ShouldBe(3), decision => decision.Active.ShouldBeFalse());
    }

    [Theory]
    [InlineData(1, 1, 0, true)] // a start without work: the client left
    [InlineData(2, 0, 1, true)] // scaling in: what drains is still at work
    [InlineData(0, 0, 1, false)] // already at zero: the leaving replica must not bring the pool back
    [InlineData(0, 1, 0, false)]
    public void Starts_and_drains_keep_a_pool_active_unless_it_was_asked_down_to_zero(int desired, int loading, int draining, bool active)
    {
        var capacity = new PoolCapacity { Pool = PoolOfModel, Desired = desired, Draining = draining, LoadingSince = [.. Enumerable.Repeat(Start, loading)] };

        Plan(Idle(), capacity).Decisions[0].Active.ShouldBe(active);
    }

    [Fact]
    public void Old_demand_is_not_believed_and_the_last_plan_holds()
    {
        var plan = Plan(Backlog(20));

        var later = Plan(Backlog(20), memory: plan.Memory, now: Start.AddMinutes(10));

        later.Decisions[0].ShouldSatisfyAllConditions(
            decision => decision.Replicas.ShouldBe(3),
            decision => decision.Active.ShouldBeTrue(),
            decision => decision.Reasons[0].ShouldBe("demand is 600 s old → holds 3"));
        later.Memory.ShouldBe(plan.Memory);
    }

    [Fact]
    public void Old_demand_never_takes_a_pool_with_work_to_zero()
    {
        var memory = Holding(0, work: true);

        Plan(Idle(), memory: memory, now: Start.AddHours(1)).Decisions[0].ShouldSatisfyAllConditions(decision => decision.Replicas.ShouldBe(1), decision => decision.Active.ShouldBeTrue());
    }

    [Fact]
    public void Old_demand_without_work_lets_the_cooldown_run()
    {
        var plan = Plan(Idle(Start.AddSeconds(1)), memory: Plan(Backlog(20)).Memory);

        Plan(Idle(), memory: plan.Memory, now: Start.AddMinutes(10)).Decisions[0].Active.ShouldBeFalse();
    }

    [Fact]
    public void A_planner_that_starts_anew_holds_what_there_is()
    {
        Plan(null).Decisions[0].Replicas.ShouldBe(0);
        Plan(null, Capacity(ready: 6)).Decisions[0].Replicas.ShouldBe(6);
        Plan(null, Capacity(ready: 6), model: Model(max: 4)).Decisions[0].Replicas.ShouldBe(4);
    }

    [Fact]
    public void A_clock_that_jumps_back_neither_forgets_nor_keeps_for_ever()
    {
        var memory = Plan(Backlog(20)).Memory;
        var back = Start.AddHours(-1);

        var after = Plan(Idle(back), Capacity(ready: 3), memory: memory);
        var soon = Plan(Idle(back.AddSeconds(29)), Capacity(ready: 3), memory: after.Memory);
        var over = Plan(Idle(back.AddSeconds(30)), Capacity(ready: 3), memory: soon.Memory);

        after.Decisions[0].Replicas.ShouldBe(3);
        soon.Decisions[0].Replicas.ShouldBe(3);
        over.Decisions[0].Replicas.ShouldBe(0);
    }

    [Fact]
    public void The_preferred_flavor_takes_the_load()
    {
        var model = Model() with { Flavors = [new Flavor { Name = "gpu", AcceleratorClass = "gpu" }, new Flavor { Name = "cpu", AcceleratorClass = "cpu" }] };
        var capacity = model.Pools.Select(pool => new PoolCapacity { Pool = pool.Name }).ToArray();

        var plan = new PoolPlanner(Options).Plan(model, Backlog(20), capacity, PlannerMemory.Empty, Start);

        plan.Decisions.Select(decision => (decision.Pool.Value, decision.Replicas)).ShouldBe([("m-gpu", 3), ("m-cpu", 0)]);
    }
}
