using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Replicas kept for the loads that were seen: what bursts need is there when the next one comes.</summary>
public sealed class WarmReplicaTests
{
    private static readonly PlannerOptions Warm = Options with { WarmShare = 0.9, TargetUtilisation = 1, WarmMemory = TimeSpan.FromMinutes(15), Cooldown = TimeSpan.FromMinutes(5) };

    [Fact]
    public void Between_bursts_what_the_bursts_needed_is_kept_and_after_the_cooldown_nothing()
    {
        var memory = Measured();
        List<int> betweenBursts = [];
        for (var second = 20; second < 620; second++)
        {
            // Twenty seconds of 4,000 tokens/s, that is four replicas, in every hundred; a trickle in between.
            var bursting = second % 100 < 20;
            var plan = Step(second, bursting ? 4000 : 100);
            if (second > 400 && second % 100 == 90) betweenBursts.Add(plan.Decisions[0].Replicas);
        }

        betweenBursts.ShouldAllBe(replicas => replicas >= 4 && replicas <= 5);
        Step(620, 0).Decisions[0].Reasons.ShouldContain(reason => reason.EndsWith(" warm", StringComparison.Ordinal));
        Step(900, 0).Decisions[0].Replicas.ShouldBeGreaterThanOrEqualTo(4, "the cooldown runs");
        Step(930, 0).Decisions[0].Replicas.ShouldBe(0);

        ModelPlan Step(int second, double rate)
        {
            var at = Start.AddSeconds(second);
            var demand = Idle(at) with { RunningRequests = rate > 0 ? 1 : 0, PromptTokensPerSecond = rate, RecentPromptTokensPerSecond = rate };
            var plan = Plan(demand, memory: memory, options: Warm with { Window = TimeSpan.FromSeconds(10) });
            memory = plan.Memory;
            return plan;
        }
    }

    [Fact]
    public void A_models_own_cooldown_counts()
    {
        var memory = Measured();
        for (var second = 20; second < 80; second++) memory = Plan(Stream(second, 3000), memory: memory, options: Warm).Memory;
        var model = Model() with { Scaling = new ScalingConfig { MaxReplicas = 100, Cooldown = TimeSpan.FromSeconds(60) } };

        Plan(Idle(Start.AddSeconds(130)), memory: memory, options: Warm, model: model).Decisions[0].Replicas.ShouldBeGreaterThan(0);
        Plan(Idle(Start.AddSeconds(140)), memory: memory, options: Warm, model: model).Decisions[0].Replicas.ShouldBe(0);
    }

    [Fact]
    public void Zero_is_the_answer_exactly_when_there_is_no_work_and_the_cooldown_is_over() =>
        Gen.Select(Gen.Double[50, 20_000], Gen.Int[0, 900], Gen.Bool).Sample((rate, later, work) =>
        {
            var memory = Measured();
            for (var second = 20; second < 60; second++) memory = Plan(Stream(second, rate), memory: memory, options: Warm).Memory;
            var demand = Idle(Start.AddSeconds(59 + later)) with { RunningRequests = work ? 1 : 0 };

            return Plan(demand, memory: memory, options: Warm).Decisions[0].Replicas == 0 == (!work && later >= 300);
        });

    /// <summary>A class that does four times what its prior says: the loads of the first seconds were no higher than those of now, though they were counted as four times as high.</summary>
    [Fact]
    public void Loads_that_came_before_it_was_known_what_a_replica_does_count_as_they_would_now()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 0; second < 60; second++)
        {
            var demand = Stream(second, 8000) with { Replicas = [new ReplicaDemand("r", PoolOfModel, false, 16, 16, 0, 32768, 4000, 400)] };
            memory = Plan(demand, Capacity(2), memory, Warm).Memory;
        }

        memory.Of(PoolOfModel).Learned!.PrefillTokensPerSecond.ShouldBe(4000, 10);
        memory.Of(PoolOfModel).Loads.Quantile(1).ShouldBe(2, 0.25);
    }

    [Fact]
    public void A_few_large_requests_among_many_small_ones_are_no_load_of_both()
    {
        var (history, now) = (LoadHistory.Nothing, Start);
        for (var second = 0; second < 100; second++) history = history.Add(second % 10 == 0 ? 20 : 1, 1, TimeSpan.FromDays(3650), now = now.AddSeconds(1), second % 10 == 0 ? 1 : 100);

        history.Quantile(0.99).ShouldBe(1, 0.1);
    }

    [Fact]
    public void A_bin_that_does_not_say_how_many_could_share_its_load_is_shared_by_all() =>
        new LoadHistory { Bins = [new LoadBin(55, 1, 9.2, 0, false)], At = Start }.Quantile(1).ShouldBe(9.2, 0.01);

    /// <summary>Rates that are learned again and again stretch the bins; where the stretch is large it goes into them, and nothing is lost of what they hold.</summary>
    [Fact]
    public void A_scale_that_grows_moves_no_quantile_but_by_itself() =>
        Gen.Double[0.1, 100].Array[1, 20].Select(Gen.Double[0.2, 5].Array[1, 8]).Sample((loads, ratios) =>
        {
            var (history, now) = (LoadHistory.Nothing, Start);
            foreach (var load in loads) history = history.Add(load, 1, TimeSpan.FromDays(3650), now = now.AddSeconds(1));
            var (before, scale) = (history.Quantile(1), 1.0);
            foreach (var ratio in ratios.Concat(ratios.Select(ratio => 1 / ratio)))
            {
                history = history.Rescaled(ratio);
                scale *= ratio;
                Math.Abs(history.LogScale).ShouldBeLessThanOrEqualTo(1);
                if (before * scale is < 0.1 or > 500) return; // beyond the bins
                history.Quantile(1).ShouldBeInRange(before * scale * 0.9 * 0.9, before * scale * 1.1 * 1.1);
            }
        });

    [Fact]
    public void No_load_is_remembered_before_it_is_known_what_a_replica_does()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 0; second < 60; second++) memory = Plan(Idle(Start.AddSeconds(second)) with { RunningRequests = 1, PromptTokensPerSecond = 9000 }, memory: memory, options: Warm).Memory;

        memory.Of(PoolOfModel).Loads.ShouldBe(LoadHistory.Nothing);
    }

    [Fact]
    public void The_quantile_is_that_of_the_work_within_a_bin() =>
        Gen.Select(Gen.Double[0.1, 100], Gen.Double[0.1, 100]).Array[20, 60].Sample(samples =>
        {
            var history = LoadHistory.Nothing;
            var now = Start;
            foreach (var (load, rate) in samples) history = history.Add(load, rate, TimeSpan.FromDays(3650), now = now.AddSeconds(1));
            var sorted = samples.OrderBy(sample => sample.Item1).ToArray();
            var left = 0.9 * samples.Sum(sample => sample.Item2);
            var exact = sorted.First(sample => (left -= sample.Item2) <= 1e-6).Item1;

            history.Quantile(0.9).ShouldBeInRange(exact / 1.101, exact * 1.101);
        });

    [Fact]
    public void An_even_stream_is_remembered_as_it_is() =>
        Gen.Select(Gen.Double[0.01, 1000], Gen.Double[0.1, 100]).Sample((load, rate) =>
        {
            var history = LoadHistory.Nothing;
            for (var second = 1; second < 100; second++) history = history.Add(load, rate, TimeSpan.FromMinutes(15), Start.AddSeconds(second));

            history.Quantile(0.9).ShouldBe(load, load * 1e-9);
        });

    private static ModelDemand Stream(int second, double rate) => Idle(Start.AddSeconds(second)) with { RunningRequests = 1, PromptTokensPerSecond = rate, RecentPromptTokensPerSecond = rate };

    /// <summary>The class's rates are known, as its prior has them.</summary>
    private static PlannerMemory Measured()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 1; second < 20; second++)
        {
            var report = Idle(Start.AddSeconds(second)) with { RunningRequests = 16, Replicas = [new ReplicaDemand("r", PoolOfModel, false, 16, 16, 0, 32768, 1000, 100)] };
            memory = Plan(report, memory: memory, options: Warm).Memory;
        }

        return memory;
    }
}
