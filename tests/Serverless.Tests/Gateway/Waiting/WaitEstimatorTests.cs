using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Gateway.Waiting;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.Tests.Gateway.Waiting;

public sealed class WaitEstimatorTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    private static readonly WaitOptions NoPriors = new() { ColdStart = TimeSpan.Zero };
    private static readonly PoolCapacity Ready = new() { Pool = TestModel(1).Pools[0].Name, Desired = 1, Ready = 1 };
    private static readonly PoolCapacity Zero = Ready with { Desired = 0, Ready = 0 };

    [Theory]
    [InlineData(Lane.Realtime, 100, 1)]
    [InlineData(Lane.Interactive, 300, 3)]
    [InlineData(Lane.Batch, 700, 7)]
    public void Only_lanes_above_and_ones_own_are_ahead(Lane lane, long ahead, double seconds)
    {
        var demand = Demand(700, 100) with { PendingTokensByLane = [100, 200, 400] };

        var estimate = WaitEstimator.Estimate(TestModel(1), demand, [Ready], new(lane), NoPriors, Now);

        estimate.TokensAhead.ShouldBe(ahead);
        estimate.Expected.ShouldBe(TimeSpan.FromSeconds(seconds));
    }

    [Fact]
    public void Nothing_pending_and_a_ready_replica_is_no_wait()
    {
        WaitEstimator.Estimate(TestModel(1), null, [Ready], new(Lane.Interactive), NoPriors, Now).ShouldBe(new WaitEstimate(0, TimeSpan.Zero, TimeSpan.Zero));
    }

    [Fact]
    public void Without_a_measured_rate_nothing_is_promised_and_nothing_refused()
    {
        WaitEstimator.Estimate(TestModel(1), Demand(500, 0), [Ready], new(Lane.Interactive), NoPriors, Now).ShouldBe(new WaitEstimate(500, null, TimeSpan.Zero));

        var prior = WaitEstimator.Estimate(TestModel(1), Demand(500, 0), [Ready with { Ready = 2 }], new(Lane.Interactive), new WaitOptions { TokensPerSecond = 50 }, Now);
        prior.Expected.ShouldBe(TimeSpan.FromSeconds(5));
        prior.Soonest.ShouldBe(TimeSpan.Zero);
    }

    [Fact]
    public void A_cold_start_counts_down_from_the_last_one()
    {
        var cold = Zero with { Desired = 1, LastColdStartSeconds = 40, LoadingSince = [Now - TimeSpan.FromSeconds(15)] };

        var estimate = WaitEstimator.Estimate(TestModel(1), Demand(100, 100), [cold], new(Lane.Interactive), NoPriors, Now);

        estimate.Expected.ShouldBe(TimeSpan.FromSeconds(26));
        estimate.Soonest.ShouldBe(TimeSpan.FromSeconds(6)); // half of 40, less 15, and the queue
        WaitEstimator.Estimate(TestModel(1), null, [Zero], new(Lane.Interactive), new WaitOptions(), Now).Expected.ShouldBe(TimeSpan.FromSeconds(30));
        WaitEstimator.Estimate(TestModel(1), null, [Zero with { LastFailure = "no" }], new(Lane.Interactive), new WaitOptions(), Now).Expected.ShouldBeNull();
    }

    [Fact]
    public void Taken_slots_add_a_running_requests_share()
    {
        var replica = new ReplicaDemand("r", Ready.Pool, false, 2, 2, 0, 100, 0, 0);
        var busy = Demand(0, 100) with { RunningRequests = 2, RunningOutputTokens = 400, Replicas = [replica] };

        WaitEstimator.Estimate(TestModel(1), busy, [Ready], new(Lane.Interactive), NoPriors, Now).Expected.ShouldBe(TimeSpan.FromSeconds(2));
        WaitEstimator.Estimate(TestModel(1), busy with { Replicas = [replica with { Running = 1 }] }, [Ready], new(Lane.Interactive), NoPriors, Now).Expected.ShouldBe(TimeSpan.Zero);
    }

    [Fact]
    public void Replicas_that_may_still_be_started_are_given_the_benefit_of_the_doubt()
    {
        WaitEstimator.Estimate(TestModel(10), Demand(1000, 100), [Ready], new(Lane.Interactive), NoPriors, Now).Soonest.ShouldBe(TimeSpan.FromSeconds(1));
    }

    [Theory]
    [InlineData(16, 1, 3.5)]
    [InlineData(8, 1, 2.25)]
    [InlineData(1000, 1, 3.5)]
    [InlineData(16, 10, 0.35)]
    public void An_answer_is_complete_after_the_wait_and_what_requests_take_at_a_replica(int mostTokens, int maxReplicas, double seconds)
    {
        var model = TestModel(maxReplicas);
        var demand = Demand(100, 100) with { RunSeconds = 2, RunOutputTokens = 16 };
        var request = TestRequests.New() with { MaxOutputTokens = mostTokens };
        var estimate = WaitEstimator.Estimate(model, demand, [Ready], new(Lane.Interactive), NoPriors, Now);

        WaitEstimator.SoonestEnd(estimate, model, demand, [Ready], request).ShouldBe(TimeSpan.FromSeconds(seconds));
        WaitEstimator.ExpectedTokens(demand, request).ShouldBe(request.PromptTokens + Math.Min(16, mostTokens));
        WaitEstimator.ExpectedTokens(demand with { RunOutputTokens = 0 }, request).ShouldBe(request.PromptTokens);
    }

    [Fact]
    public void What_requests_took_of_late_keeps_nothing_from_a_replica_that_has_nothing_else_to_do()
    {
        var demand = Demand(0, 100) with { RunSeconds = 600 };
        var estimate = WaitEstimator.Estimate(TestModel(1), demand, [Ready], new(Lane.Interactive), NoPriors, Now);

        WaitEstimator.SoonestEnd(estimate, TestModel(1), demand, [Ready], TestRequests.New()).ShouldBe(TimeSpan.Zero);
        WaitEstimator.SoonestEnd(estimate, TestModel(1), demand with { RunningRequests = 1 }, [Ready], TestRequests.New()).ShouldBeGreaterThan(TimeSpan.FromMinutes(10));
        WaitEstimator.SoonestEnd(estimate with { TokensAhead = 1 }, TestModel(1), demand, [Ready], TestRequests.New()).ShouldBeGreaterThan(TimeSpan.FromMinutes(10));
    }

    [Fact]
    public void What_the_last_start_took_keeps_nobody_from_a_model_that_nothing_else_would_start()
    {
        var (model, request) = (TestModel(1), TestRequests.New());
        var zero = Zero with { LastColdStartSeconds = 600 };
        SoonestEnd(null, zero).ShouldBe(TimeSpan.Zero);
        SoonestEnd(Demand(0, 100), zero).ShouldBe(TimeSpan.Zero);
        SoonestEnd(Demand(0, 100), zero with { LastFailure = "no" }).ShouldBe(TimeSpan.Zero);

        SoonestEnd(Demand(0, 100), zero with { Desired = 1, LoadingSince = [Now.AddSeconds(-100)] }).ShouldBe(TimeSpan.FromSeconds(200), "a start is under way, whoever asked for it");
        SoonestEnd(Demand(0, 100) with { PendingRequests = 1 }, zero).ShouldBe(TimeSpan.FromSeconds(300));

        TimeSpan SoonestEnd(ModelDemand? demand, PoolCapacity pool) =>
            WaitEstimator.SoonestEnd(WaitEstimator.Estimate(model, demand, [pool], new(Lane.Interactive), NoPriors, Now), model, demand, [pool], request);
    }

    [Fact]
    public void What_was_let_in_and_is_not_counted_yet_is_ahead_until_it_is()
    {
        var (unseen, model) = (new UnseenWork(), new ModelName("tiny"));
        unseen.Add(model, Lane.Interactive, "acme", 100, Now);
        unseen.Add(model, Lane.Interactive, "acme", 10, Now.AddMilliseconds(100));
        unseen.Add(model, Lane.Batch, "rival", 7, Now.AddMilliseconds(100));

        unseen.Since(model, Now, Now)[(Lane.Interactive, "acme")].ShouldBe(110);
        unseen.Since(model, Now.AddMilliseconds(60), Now)[(Lane.Interactive, "acme")].ShouldBe(10);
        unseen.Since(model, Now.AddMilliseconds(60), Now)[(Lane.Batch, "rival")].ShouldBe(7);
        unseen.Since(model, Now.AddMilliseconds(60), Now.AddSeconds(3)).ShouldBeEmpty();
        unseen.Since(new ModelName("other"), Now, Now).ShouldBeEmpty();
    }

    [Fact]
    public void The_wait_never_shrinks_with_more_ahead_and_the_soonest_is_never_later_than_expected() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[0, 100_000], Gen.Double[0.1, 1e4], Gen.Int[0, 3], Gen.Int[1, 8]).Sample((less, more, rate, ready, max) =>
        {
            var pool = Ready with { Ready = ready, LastColdStartSeconds = 20 };
            var few = WaitEstimator.Estimate(TestModel(max), Demand(Math.Min(less, more), rate), [pool], new(Lane.Interactive), NoPriors, Now);
            var many = WaitEstimator.Estimate(TestModel(max), Demand(Math.Max(less, more), rate), [pool], new(Lane.Interactive), NoPriors, Now);

            many.Expected!.Value.ShouldBeGreaterThanOrEqualTo(few.Expected!.Value);
            many.Soonest.ShouldBeGreaterThanOrEqualTo(few.Soonest);
            many.Soonest.ShouldBeLessThanOrEqualTo(many.Expected.Value);
        });

    private static ModelDemand Demand(long pending, double rate) => new()
    {
        Model = new ModelName("tiny"),
        At = Now,
        PendingRequests = pending > 0 ? 1 : 0,
        PendingPromptTokens = pending,
        ServedTokensPerSecond = rate,
    };

    private static Model TestModel(int maxReplicas) => new()
    {
        Name = new ModelName("tiny"),
        Family = "test",
        Source = new ModelSource("simulated", "tiny"),
        ContextTokens = 1000,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        Scaling = new ScalingConfig { MaxReplicas = maxReplicas },
    };
}
