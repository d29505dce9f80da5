using Serverless.Scaling.Capacity;
using Serverless.Simulation;
using Serverless.Tests.Scaling;
using Shouldly;

namespace Serverless.Tests.Simulation;

/// <summary>What others do, on examples worked by hand.</summary>
public sealed class BaselineTests
{
    [Theory]
    [InlineData(4, 20, 5, 4)] // exactly on target
    [InlineData(4, 21.9, 5, 4)] // 9.5 % over: inside the tolerance
    [InlineData(4, 22.5, 5, 5)] // 12.5 % over: ceil(4.5)
    [InlineData(4, 0, 5, 0)]
    [InlineData(10, 109, 10, 10)]
    [InlineData(10, 111, 10, 12)]
    public void The_HPA_takes_the_ceiling_outside_its_tolerance(int current, double sum, double target, int desired) =>
        HorizontalAutoscaler.Desired(current, sum, target, 0.1).ShouldBe(desired);

    [Fact]
    public void The_HPA_doubles_or_adds_four_and_comes_down_to_the_most_of_five_minutes()
    {
        var autoscaler = new HorizontalAutoscaler(1, 64);

        autoscaler.Sync(0, 1, [(100, 1)]).ShouldBe(5);
        autoscaler.Sync(15, 5, [(100, 1)]).ShouldBe(10);
        autoscaler.Sync(30, 10, [(12, 1)]).ShouldBe(12);
        autoscaler.Sync(45, 12, [(2, 1)]).ShouldBe(12, "64 were recommended 45 s ago");
        autoscaler.Sync(316, 12, [(2, 1)]).ShouldBe(12, "12 were recommended 286 s ago");
        autoscaler.Sync(331, 12, [(2, 1)]).ShouldBe(2);
        autoscaler.Sync(346, 2, [(0, 1)]).ShouldBe(2, "2 were recommended since; and never below 1");
    }

    [Fact]
    public void The_largest_of_several_metrics_counts() => new HorizontalAutoscaler(1, 64).Sync(0, 4, [(4, 1), (6, 1)]).ShouldBe(6);

    [Fact]
    public void KEDA_wakes_a_pool_at_a_poll_and_takes_it_to_zero_after_the_cooldown()
    {
        var policy = new QueueLengthPolicy(5, 64);

        policy.Decide(View(0)).ShouldBe(0);
        policy.Decide(View(15, waiting: 20)).ShouldBe(0, "the poll is at 30 s");
        policy.Decide(View(30, waiting: 20)).ShouldBe(1, "0 to 1, never to N");
        policy.Decide(View(45, desired: 1, waiting: 20)).ShouldBe(4, "ceil(20 / 5)");
        for (var now = 60; now < 330; now += 15) policy.Decide(View(now, desired: 4)).ShouldBe(4, $"stabilised at {now} s");
        policy.Decide(View(330, desired: 4)).ShouldBe(0, "inactive since the poll at 30 s");
    }

    [Fact]
    public void KubeAI_averages_active_requests_over_ten_minutes_that_begin_with_zeros()
    {
        var policy = new MeanConcurrencyPolicy(1, 64);

        policy.Decide(View(0, waiting: 12)).ShouldBe(1, "at once");
        policy.Decide(View(10, desired: 1, waiting: 12)).ShouldBe(1, "no endpoint yet: not looked at");
        policy.Decide(View(20, desired: 1, ready: 1, running: 120)).ShouldBe(2, "ceil(120 / 60)");
        policy.Decide(View(30, desired: 2, ready: 2, running: 120)).ShouldBe(4, "ceil(240 / 60)");
        foreach (var now in new[] { 40, 50, 60 }) policy.Decide(View(now, desired: 5, ready: 5)).ShouldBe(5, "it wants 4 and waits three looks");
        policy.Decide(View(70, desired: 5, ready: 5)).ShouldBe(4);
    }

    [Fact]
    public void Llm_d_takes_the_larger_of_prefill_seconds_and_KV_usage()
    {
        new PrefillBacklogPolicy(1.5, 1000, 64).Decide(View(0, desired: 2, ready: 2, running: 1, prompt: 6000)).ShouldBe(4, "6 s / 1.5 s");
        new PrefillBacklogPolicy(1.5, 1000, 64).Decide(View(0, desired: 2, ready: 2, running: 1, kv: 1.9)).ShouldBe(3, "1.9 / 0.8");
    }

    [Fact]
    public void Running_requests_divide_by_their_target() => new RunningRequestsPolicy(16, 64).Decide(View(0, desired: 2, ready: 2, running: 50)).ShouldBe(4, "50 / 16");

    private static PolicyView View(double now, int desired = 0, int ready = 0, int waiting = 0, int running = 0, long prompt = 0, double kv = 0) =>
        new(now, desired, ready, waiting, running, prompt, kv, PlannerScene.Idle(), new PoolCapacity { Pool = PlannerScene.PoolOfModel }, PlannerScene.Model());
}
