using System.Text.Json;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Plans as an earlier release left them in Redis, byte for byte: what was learned then is known now.</summary>
public sealed class StoredPlanTests
{
    /// <summary>Ninety seconds of a stream of 2,020 to 3,800 tokens/s at two replicas, as release 0.2 wrote it: figures by class, loads in all of their bins.</summary>
    private const string Golden = """
        {"model":"m","decisions":[{"pool":"m-cpu","at":"2026-01-01T00:01:30+00:00","replicas":4,"active":true,"reasons":["3,800 prompt and 0 output tokens/s arrive = 2.53 replicas at full use; 80 % of a replica is planned for \u2192 4","90 % of the work of the last 15 min came at loads that 3 replicas take at once \u2192 keeps 3 warm","900 prompt and 0 output tokens pending, 16 requests running = 0.6 replica-seconds; target 5 s; cold start 12.0 s; 2 up or loading \u2192 1","20 % of the prompt tokens are expected from prefix caches and not counted as work"],"inputs":{"demandAge":0,"pendingRequests":3,"pendingPromptTokens":900,"pendingOutputTokens":0,"deferredRequests":0,"runningRequests":16,"promptTokensPerSecond":3800,"outputTokensPerSecond":0,"ready":2,"loading":0,"prefillRate":1199.9999999987538,"cachedPromptShare":0.19998476453039082,"decodeRate":149.9999999996536,"coldStartSeconds":12,"workSeconds":0.60001142660283,"load":2.5333815789897267,"forArrivals":4,"warm":3,"forBacklog":1,"forKvCache":1,"forSlots":1,"wanted":4}}],"memory":{"classes":{"cpu":{"prefillTokensPerSecond":1199.9999999987538,"cachedPromptShare":0.19998476453039082,"steps":[{"sequences":16,"seconds":0.10666666666691299,"samples":50}],"coldStartSeconds":12,"coldStartDeviation":0,"lastColdStartSeconds":12,"slots":16,"kvTokens":32768,"tokensPerRequest":250,"learnedAt":"2026-01-01T00:01:30+00:00"}},"pools":{"m-cpu":{"recent":[{"at":"2026-01-01T00:01:30+00:00","replicas":4}],"replicas":4,"loads":{"weights":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1.5785850409651618,46.028810882022306,28.086672255446647,31.424379971626774,39.82184364997306,10.036898662241414,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"sums":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2.6785618475404065,81.28764701766053,55.20869897708955,67.95997802856073,94.60319680901569,25.227710604489207,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"at":"2026-01-01T00:01:30+00:00"},"stockOuts":0}},"lastHadWork":true,"lastWorkAt":"2026-01-01T00:01:30+00:00"},"mean":{"promptTokens":300,"outputTokens":50}}
        """;

    [Fact]
    public void A_plan_of_the_release_before_is_continued_from()
    {
        var stored = JsonSerializer.Deserialize(Golden, FeedJson.Default.SharedPlan)!;

        var plan = Plan(Idle(Start.AddSeconds(95)) with { RunningRequests = 1 }, Capacity(2), stored.Memory, new PlannerOptions { Prior = Options.Prior });

        plan.Decisions[0].Inputs!.ShouldSatisfyAllConditions(
            inputs => inputs.PrefillRate.ShouldBe(1200, 0.01),
            inputs => inputs.DecodeRate.ShouldBe(150, 0.01),
            inputs => inputs.CachedPromptShare.ShouldBe(0.2, 0.001),
            inputs => inputs.ColdStartSeconds.ShouldBe(12),
            inputs => inputs.Warm.ShouldBe(3));
        plan.Decisions[0].Replicas.ShouldBeGreaterThanOrEqualTo(3, "what was wanted within the window is held as well");
        stored.Memory.Of(PoolOfModel).Loads.Quantile(0.9).ShouldBeGreaterThan(2);
    }

    [Fact]
    public void What_is_written_is_read_as_it_was_and_small()
    {
        var stored = JsonSerializer.Deserialize(Golden, FeedJson.Default.SharedPlan)!;
        var options = new PlannerOptions { Prior = Options.Prior };
        var plan = Plan(Idle(Start.AddSeconds(95)) with { RunningRequests = 1, PromptTokensPerSecond = 3000, RecentPromptTokensPerSecond = 3000, RequestsPerSecond = 4 }, Capacity(2), stored.Memory, options);

        var json = JsonSerializer.Serialize(stored with { Decisions = plan.Decisions, Memory = plan.Memory }, FeedJson.Default.SharedPlan);
        var back = JsonSerializer.Deserialize(json, FeedJson.Default.SharedPlan)!;

        JsonSerializer.Serialize(back, FeedJson.Default.SharedPlan).ShouldBe(json);
        back.Memory.Of(PoolOfModel).Loads.Bins.Length.ShouldBeInRange(1, 12);
        back.Memory.Of(PoolOfModel).Loads.ShouldSatisfyAllConditions(loads => loads.Weights.ShouldBeNull(), loads => loads.Sums.ShouldBeNull());
        back.Memory.Classes.ShouldBeEmpty("each pool has its own");
        Plan(Idle(Start.AddSeconds(100)) with { RunningRequests = 1 }, Capacity(2), back.Memory, options).Decisions[0].Inputs
            .ShouldBe(Plan(Idle(Start.AddSeconds(100)) with { RunningRequests = 1 }, Capacity(2), plan.Memory, options).Decisions[0].Inputs);
    }
}
