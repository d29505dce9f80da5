using CsCheck;
using Serverless.Demand;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>A request runs on one replica, however large it is.</summary>
public sealed class OneRequestTests
{
    /// <summary>Waits for a cold start, runs on a replica that is far slower than was assumed, ends; planned for each second until the cooldown is over.</summary>
    [Fact]
    public void One_request_never_asks_for_two_replicas() =>
        Gen.Select(Gen.Int[1, 30_000], Gen.Int[1, 8000], Gen.Double[0.5, 100], Gen.Int[1, 60], Gen.Int[1, 120]).Sample((prompt, output, speed, coldStart, runs) =>
        {
            var options = new PlannerOptions { Prior = Options.Prior, Cooldown = TimeSpan.FromSeconds(60) };
            var answers = Timeline(1, prompt, output, speed, coldStart, runs, options);

            answers[..^1].ShouldAllBe(replicas => replicas <= 1, string.Join(' ', answers));
            answers[..(coldStart + runs)].ShouldAllBe(replicas => replicas == 1, string.Join(' ', answers));
            answers[^1].ShouldBe(0);
        });

    [Fact]
    public void Several_requests_share_as_many_replicas_at_most() =>
        Gen.Select(Gen.Int[2, 6], Gen.Int[1, 30_000], Gen.Int[1, 8000], Gen.Double[0.5, 100], Gen.Int[1, 60]).Sample((requests, prompt, output, speed, coldStart) =>
            Timeline(requests, prompt, output, speed, coldStart, 40, new PlannerOptions { Prior = Options.Prior }).Max().ShouldBeLessThanOrEqualTo(requests));

    /// <summary>As shipped. Bursts that two replicas take, then none for longer than the cooldown: the pool is at zero, and what is remembered of the bursts starts nothing.</summary>
    [Theory]
    [InlineData(480)]
    [InlineData(900)]
    [InlineData(30)] // the pool was taken to zero sooner than the window and the memory know
    public void After_busy_times_one_request_from_zero_asks_for_one_replica(int idleSeconds)
    {
        var memory = AfterBursts();
        for (var second = 1; second < idleSeconds; second++) memory = Plan(Idle(Busy.AddSeconds(second)) with { RequestsPerSecond = 0 }, memory: memory, options: Shipped).Memory;

        var plan = Plan(One(Busy.AddSeconds(idleSeconds)), memory: memory, options: Shipped);

        plan.Decisions[0].Replicas.ShouldBe(1, string.Join('\n', plan.Decisions[0].Reasons));
        plan.Memory.Of(PoolOfModel).Loads.Quantile(0.9).ShouldBeGreaterThan(1, "the loads are remembered for who comes next");
    }

    /// <summary>One replica is there, and two would take the bursts: the second is started for a second request, not for the first.</summary>
    [Fact]
    public void What_was_seen_lately_starts_no_second_replica_for_one_request_and_keeps_those_there_are()
    {
        var bursts = AfterBursts();
        var one = bursts with { Pools = bursts.Pools.SetItem(PoolOfModel.Value, bursts.Of(PoolOfModel) with { Replicas = 1, Recent = [new WantedReplicas(Busy, 1)] }) };

        var plan = Plan(One(Busy.AddSeconds(1)), Capacity(ready: 1), one, Shipped);

        plan.Decisions[0].Replicas.ShouldBe(1, string.Join('\n', plan.Decisions[0].Reasons));
        plan.Decisions[0].Reasons.ShouldContain(reason => reason.EndsWith("no more are started for it than there are requests or came in the last 30 s → 1", StringComparison.Ordinal));
        Plan(One(Busy.AddSeconds(1)) with { PendingRequests = 2, RequestsPerSecond = 2 / 30.0 }, Capacity(ready: 1), one, Shipped).Decisions[0].Replicas.ShouldBe(2, "two requests may have two");
        Plan(One(Busy.AddSeconds(1)), Capacity(ready: 2), bursts, Shipped).Decisions[0].Replicas.ShouldBe(bursts.Of(PoolOfModel).Replicas, "what is there is kept");
    }

    private static readonly PlannerOptions Shipped = new();

    private static DateTimeOffset Busy => Start.AddSeconds(120);

    private static ModelDemand One(DateTimeOffset at) => Idle(at) with { PendingRequests = 1, PendingPromptTokens = 30, PendingOutputTokens = 16, RequestsPerSecond = 1 / 30.0, PromptTokensPerSecond = 1, OutputTokensPerSecond = 0.5 };

    /// <summary>Two minutes of a load that two replicas take.</summary>
    private static PlannerMemory AfterBursts()
    {
        var memory = PlannerMemory.Empty;
        for (var second = 0; second <= 120; second++)
        {
            var demand = Idle(Start.AddSeconds(second)) with
            {
                RunningRequests = 4,
                RunningTokens = 400,
                RequestsPerSecond = 2,
                PromptTokensPerSecond = 1800,
                RecentPromptTokensPerSecond = 1800,
                Replicas = [new ReplicaDemand("r", PoolOfModel, false, 4, 16, 0, 32768, 1000, 100)],
            };
            memory = Plan(demand, Capacity(ready: 2), memory, Shipped).Memory;
        }

        return memory;
    }

    private static List<int> Timeline(int requests, int prompt, int output, double speed, int coldStart, int runs, PlannerOptions options)
    {
        var (count, prompts, outputs, recent) = (new ArrivalRate(), new ArrivalRate(), new ArrivalRate(), new ArrivalRate(5));
        for (var i = 0; i < requests; i++)
        {
            count.Add(1, Start);
            prompts.Add(prompt, Start);
            outputs.Add(output, Start);
            recent.Add(prompt, Start);
        }

        List<int> answers = [];
        var memory = PlannerMemory.Empty;
        for (var second = 0; second < coldStart + runs + 130; second++)
        {
            var now = Start.AddSeconds(second);
            var (waits, ended) = (second < coldStart, second >= coldStart + runs);
            var demand = Idle(now) with
            {
                PendingRequests = waits ? requests : 0,
                PendingPromptTokens = waits ? (long)requests * prompt : 0,
                PendingOutputTokens = waits ? (long)requests * output : 0,
                RunningRequests = waits || ended ? 0 : requests,
                RunningTokens = waits || ended ? 0 : (long)requests * (prompt + output),
                RunningOutputTokens = waits || ended ? 0 : (long)requests * output,
                RequestsPerSecond = count.PerSecond(now),
                PromptTokensPerSecond = prompts.PerSecond(now),
                OutputTokensPerSecond = outputs.PerSecond(now),
                RecentPromptTokensPerSecond = recent.PerSecond(now),
                Replicas = waits ? [] : [new ReplicaDemand("r", PoolOfModel, false, ended ? 0 : requests, 16, 0, 32768, speed * 10, speed)],
            };
            var plan = Plan(demand, waits ? Capacity(0, Start) : Capacity(ready: 1), memory, options);
            memory = plan.Memory;
            answers.Add(plan.Decisions[0].Replicas);
        }

        return answers;
    }
}
