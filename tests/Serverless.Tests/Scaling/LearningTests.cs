using System.Text.Json;
using CsCheck;
using Serverless.Demand;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>What replicas report becomes what the planner reckons with: soon, and whatever single reports say.</summary>
public sealed class LearningTests
{
    [Fact]
    public void A_class_three_times_slower_than_its_prior_is_known_within_twenty_requests_and_replicas_change()
    {
        var memory = After(20, prefill: 1000.0 / 3, decode: 100.0 / 3, running: 16);
        var demand = Idle(Start.AddSeconds(20)) with { RunningRequests = 1, PromptTokensPerSecond = 1000, OutputTokensPerSecond = 100 };

        var before = Plan(demand).Decisions[0];
        var after = Plan(demand, memory: memory).Decisions[0];

        after.Inputs!.PrefillRate.ShouldBe(1000.0 / 3, 1000.0 / 3 * 0.05);
        after.Inputs.DecodeRate.ShouldBe(100.0 / 3, 100.0 / 3 * 0.1);
        before.Replicas.ShouldBe(3, "(1 + 1) / 0.75");
        after.Replicas.ShouldBeInRange(7, 9, "three times that");
    }

    [Fact]
    public void One_bad_report_moves_no_rate_by_more_than_a_fifth() =>
        Gen.Select(Gen.Double[1e-3, 1e9], Gen.Double[1e-3, 1e9], Gen.Int[1, 500]).Sample((prefill, decode, running) =>
        {
            var memory = After(40, prefill: 800, decode: 90, running: 16);
            var known = Inputs(memory);
            var after = Inputs(Plan(Report(41, prefill, decode, running), memory: memory).Memory);

            after.PrefillRate.ShouldBeInRange(known.PrefillRate / 1.2, known.PrefillRate * 1.2);
            after.DecodeRate.ShouldBeInRange(known.DecodeRate / 1.2, known.DecodeRate * 1.2);
        });

    [Fact]
    public void Nonsense_is_not_learned_from()
    {
        foreach (var nonsense in new[] { double.NaN, double.PositiveInfinity, -1, 0 })
        {
            Inputs(Plan(Report(1, nonsense, nonsense, 4)).Memory).ShouldSatisfyAllConditions(inputs => inputs.PrefillRate.ShouldBe(1000), inputs => inputs.DecodeRate.ShouldBe(100));
        }
    }

    [Fact]
    public void A_replica_seen_at_few_requests_is_judged_by_what_it_does_at_many()
    {
        // A step takes 30 ms and 1 ms for each sequence: 118 tokens/s at 4, 348 at 16.
        var memory = PlannerMemory.Empty;
        for (var second = 1; second <= 60; second++)
        {
            var running = 1 + (second % 5);
            memory = Plan(Report(second, 1000, running / (0.030 + (0.001 * running)), running), memory: memory).Memory;
        }

        Inputs(memory).DecodeRate.ShouldBe(16 / 0.046, 60);
    }

    [Fact]
    public void The_line_through_steps_is_found_wherever_they_lie() =>
        Gen.Select(Gen.Double[0.005, 0.1], Gen.Double[0.0005, 0.005], Gen.Int[1, 64].Array[60, 120]).Sample((start, slope, batches) =>
        {
            var steps = LearnedRates.Nothing.Steps;
            var prior = new ClassPrior { DecodeTokensPerSecond = 16 / (start + (16 * slope)) };
            foreach (var batch in batches) steps = DecodeCurve.Learn(steps, prior, batch, start + (slope * batch));

            DecodeCurve.Fit(steps, prior).Seconds(32).ShouldBe(start + (32 * slope), (start + (32 * slope)) * 0.3);
        });

    /// <summary>Three of four run one sequence and one runs two: what the second adds is seen, or a step of sixteen would be guessed at a tenth of what it takes.</summary>
    [Fact]
    public void What_a_larger_batch_does_is_learned_from_replicas_that_run_one()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 1; second <= 30; second++)
        {
            var demand = Idle(Start.AddSeconds(second)) with { RunningRequests = 5, Replicas = [Replica("a", 1000, 100, 1), Replica("b", 1000, 100, 1), Replica("c", 1000, 100, 1), Replica("d", 1000, 100, 2)] };
            memory = Plan(demand, memory: memory).Memory;
        }

        Inputs(memory).DecodeRate.ShouldBe(100, 15);
    }

    /// <summary>One sequence at a time, and a batch decodes no faster: the prior's shape alone would have it that sixteen do eight and a half times as much.</summary>
    [Theory]
    [InlineData(0.4)]
    [InlineData(1)]
    [InlineData(2.5)]
    public void A_rate_far_beyond_the_batches_that_were_seen_is_known_to_a_factor_of_two_or_is_the_priors(double speed)
    {
        var rate = Inputs(After(60, prefill: 1000, decode: 100 * speed, running: 1)).DecodeRate;

        if (rate != Options.Prior.DecodeTokensPerSecond) rate.ShouldBeInRange(100 * speed / 2, 100 * speed * 2);
    }

    /// <summary>Batches of three were seen twice while all were taken for slow, and never again: what they were taken for is no measurement.</summary>
    [Fact]
    public void What_was_seen_a_few_times_only_goes_with_what_is_learned_of_the_rest()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 1; second <= 60; second++)
        {
            var running = second <= 2 ? 3 : 1;
            memory = Plan(Report(second, 1000, 1000, running), memory: memory).Memory;
        }

        var steps = memory.Of(PoolOfModel).Learned!.Steps;
        steps.Single(step => step.Samples > 2).Seconds.ShouldBe(0.001, 0.0001);
        steps.Single(step => step.Samples == 2).Seconds.ShouldBeInRange(0.001, 0.02, "the prior says 95 ms");
    }

    [Fact]
    public void No_replica_is_given_up_because_the_prior_says_that_a_batch_never_seen_would_do_more()
    {
        var options = Options with { Window = TimeSpan.FromSeconds(10) };
        var memory = Holding(5);
        List<int> alone = [];
        for (var second = 1; second <= 60; second++)
        {
            // Four replicas' worth of output, one sequence each.
            var demand = Idle(Start.AddSeconds(second)) with { RunningRequests = 5, OutputTokensPerSecond = 375, Replicas = [.. Enumerable.Range(0, 5).Select(replica => Replica($"r{replica}", 1000, 100, 1))] };
            var plan = Plan(demand, Capacity(5), memory, options);
            memory = plan.Memory;
            alone.Add(plan.Decisions[0].Replicas);
        }

        alone.ShouldAllBe(replicas => replicas == 5);
        Inputs(memory).DecodeRate.ShouldBeInRange(150, 200, "the prior's shape at two, and no further");
    }

    [Fact]
    public void A_report_is_learned_from_once_a_second_however_often_it_is_planned()
    {
        var memory = Plan(Report(1, 500, 50, 16)).Memory;
        var again = memory;
        for (var i = 0; i < 10; i++) again = Plan(Report(1, 500, 50, 16), memory: again).Memory;

        Inputs(again).PrefillRate.ShouldBe(Inputs(memory).PrefillRate);
    }

    [Fact]
    public void A_sick_replica_does_not_speak_for_the_others()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 1; second <= 40; second++)
        {
            ReplicaDemand[] replicas = [Replica("a", 1000, 100, 16), Replica("b", 1000, 100, 16), Replica("c", 10, 1, 16)];
            memory = Plan(Idle(Start.AddSeconds(second)) with { RunningRequests = 48, Replicas = replicas }, memory: memory).Memory;
        }

        Inputs(memory).PrefillRate.ShouldBe(1000, 1);
    }

    [Fact]
    public void The_first_cold_start_is_believed_and_a_later_outlier_hardly()
    {
        var memory = PlannerMemory.Empty;
        foreach (var seconds in new[] { 60, 61, 59, 60, 600 })
        {
            memory = Plan(Idle(), Capacity(1) with { LastColdStartSeconds = seconds }, memory).Memory;
            if (seconds == 60 && memory.Of(PoolOfModel).Learned!.ColdStartDeviation == 0) memory.Of(PoolOfModel).Learned!.ColdStartSeconds.ShouldBe(60);
        }

        memory.Of(PoolOfModel).Learned!.ColdStartSeconds.ShouldBeInRange(60, 72);
    }

    [Fact]
    public void Prompt_tokens_that_a_prefix_cache_will_supply_are_no_work()
    {
        var backlog = Backlog(60, Start.AddSeconds(100));
        var memory = Cached(0.5);

        Plan(backlog).Decisions[0].Inputs!.WorkSeconds.ShouldBe(60);
        var decision = Plan(backlog, memory: memory).Decisions[0];

        decision.Inputs!.WorkSeconds.ShouldBe(30, 1);
        decision.Inputs.PendingPromptTokens.ShouldBe(60_000, "they are told as they are");
        decision.Reasons.ShouldContain(reason => reason.EndsWith("of the prompt tokens are expected from prefix caches and not counted as work", StringComparison.Ordinal));
        Replicas(backlog, memory: memory).ShouldBeLessThan(Replicas(backlog));
    }

    [Fact]
    public void More_hits_never_need_more_replicas_and_some_prefill_is_always_counted() =>
        Gen.Select(Gen.Double[0, 1], Gen.Double[0, 1], Gen.Int[1, 10_000]).Sample((share, more, seconds) =>
        {
            var backlog = Backlog(seconds, Start.AddSeconds(100));
            var (few, many) = (Plan(backlog, memory: Cached(Math.Min(share, more))).Decisions[0], Plan(backlog, memory: Cached(Math.Max(share, more))).Decisions[0]);

            many.Replicas.ShouldBeLessThanOrEqualTo(few.Replicas);
            many.Inputs!.WorkSeconds.ShouldBeGreaterThanOrEqualTo(seconds * 0.099);
        });

    [Fact]
    public void A_share_of_hits_that_is_nonsense_is_not_learned_from()
    {
        foreach (var nonsense in new[] { double.NaN, double.PositiveInfinity, -5 }) Inputs(Cached(nonsense)).CachedPromptShare.ShouldBe(0);

        Inputs(Cached(7)).CachedPromptShare.ShouldBeInRange(0.8, 0.9);
    }

    [Fact]
    public void Memory_survives_as_JSON()
    {
        var memory = Plan(Idle(Start.AddSeconds(50)) with { RunningRequests = 3, RecentPromptTokensPerSecond = 500, PromptTokensPerSecond = 400 }, memory: After(40, 700, 80, 12), options: Options with { WarmShare = 0.9 }).Memory;

        var back = JsonSerializer.Deserialize<PlannerMemory>(JsonSerializer.Serialize(memory))!;

        JsonSerializer.Serialize(back).ShouldBe(JsonSerializer.Serialize(memory));
        back.Of(PoolOfModel).Learned!.PrefillTokensPerSecond.ShouldBe(memory.Of(PoolOfModel).Learned!.PrefillTokensPerSecond);
        Replicas(Backlog(60, Start.AddSeconds(51)), memory: back).ShouldBe(Replicas(Backlog(60, Start.AddSeconds(51)), memory: memory));
    }

    private static ReplicaDemand Replica(string name, double prefill, double decode, int running) => new(name, PoolOfModel, false, running, 16, 0, 32768, prefill, decode);

    private static ModelDemand Report(int second, double prefill, double decode, int running) =>
        Idle(Start.AddSeconds(second)) with { RunningRequests = running, Replicas = [Replica("r", prefill, decode, running)] };

    private static PlannerMemory Cached(double share)
    {
        var memory = PlannerMemory.Empty;
        for (var second = 1; second <= 60; second++)
        {
            var demand = Idle(Start.AddSeconds(second)) with { RunningRequests = 16, Replicas = [Replica("r", 1000, 100, 16) with { CachedPromptShare = share }] };
            memory = Plan(demand, memory: memory).Memory;
        }

        return memory;
    }

    private static PlannerMemory After(int requests, double prefill, double decode, int running)
    {
        var memory = PlannerMemory.Empty;
        for (var second = 1; second <= requests; second++) memory = Plan(Report(second, prefill, decode, running), memory: memory).Memory;
        return memory;
    }

    private static DecisionInputs Inputs(PlannerMemory memory) => Plan(Idle(Start.AddMinutes(2)), memory: memory).Decisions[0].Inputs!;
}
