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
