using System.Text.Json;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Plans as the first version leaves them in Redis, byte for byte: what was learned then is known to every later one.</summary>
public sealed class StoredPlanTests
{
    /// <summary>Ninety seconds of a stream of 2,020 to 3,800 tokens/s at two replicas. Once released, never to be rewritten.</summary>
    private const string Golden = """
        {"model":"m","decisions":[{"pool":"m-cpu","at":"2026-01-01T00:01:30+00:00","replicas":4,"active":true,"reasons":["3,800 prompt and 0 output tokens/s arrive = 2.53 replicas at full use; 80 % of a replica is planned for \u2192 4","90 % of the work of the last 15 min came at loads that 3 replicas take at once \u2192 keeps 3 warm","900 prompt and 0 output tokens pending, 16 requests running = 0.6 replica-seconds; target 5 s; cold start 12.0 s; 2 up or loading \u2192 1","20 % of the prompt tokens are expected from prefix caches and not counted as work"],"inputs":{"demandAge":0,"pendingRequests":3,"pendingPromptTokens":900,"pendingOutputTokens":0,"deferredRequests":0,"runningRequests":16,"promptTokensPerSecond":3800,"outputTokensPerSecond":0,"ready":2,"loading":0,"prefillRate":1199.9999999987538,"cachedPromptShare":0.19998476453039082,"decodeRate":149.9999999996536,"coldStartSeconds":12,"workSeconds":0.60001142660283,"load":2.5333815789897267,"forArrivals":4,"warm":3,"forBacklog":1,"forKvCache":1,"forSlots":1,"wanted":4}}],"memory":{"pools":{"m-cpu":{"recent":[{"at":"2026-01-01T00:01:30+00:00","replicas":4}],"replicas":4,"learned":{"prefillTokensPerSecond":1199.9999999987538,"prefillSamples":10,"cachedPromptShare":0.19998476453039082,"steps":[{"sequences":16,"seconds":0.10666666666691299,"samples":50}],"coldStartSeconds":12,"coldStartDeviation":0,"lastColdStartSeconds":12,"slots":16,"kvTokens":32768,"tokensPerRequest":250,"learnedAt":"2026-01-01T00:01:30+00:00"},"loads":{"bins":[{"bin":37,"weight":1.5785850409651618,"load":1.6968118777450902,"most":1000000},{"bin":38,"weight":46.028810882022306,"load":1.7660166634765149,"most":1000000},{"bin":39,"weight":28.086672255446647,"load":1.9656546875674572,"most":1000000},{"bin":40,"weight":31.424379971626774,"load":2.162651358274121,"most":1000000},{"bin":41,"weight":39.82184364997306,"load":2.375660897083545,"most":1000000},{"bin":42,"weight":10.036898662241414,"load":2.5134965942612615,"most":1000000}],"at":"2026-01-01T00:01:30+00:00","logScale":0},"stockOuts":0}},"lastHadWork":true,"lastWorkAt":"2026-01-01T00:01:30+00:00"},"mean":{"promptTokens":300,"outputTokens":50}}
        """;

    [Fact]
    public void A_stored_plan_is_continued_from()
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
        Plan(Idle(Start.AddSeconds(100)) with { RunningRequests = 1 }, Capacity(2), back.Memory, options).Decisions[0].Inputs
            .ShouldBe(Plan(Idle(Start.AddSeconds(100)) with { RunningRequests = 1 }, Capacity(2), plan.Memory, options).Decisions[0].Inputs);
    }
}
