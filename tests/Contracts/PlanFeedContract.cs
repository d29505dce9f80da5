using System.Collections.Immutable;
using Serverless.Catalog;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IPlanFeed"/> does: plans beside each other, planners fenced by their epoch, and followers that miss nothing that counts.</summary>
public abstract class PlanFeedContract
{
    private static readonly DateTimeOffset At = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>An empty feed. The subclass disposes of it.</summary>
    protected abstract ValueTask<IPlanFeed> CreateAsync();

    [Fact]
    public async Task Nothing_written_is_nothing_read()
    {
        (await (await CreateAsync()).ReadAsync(Token)).ShouldBeNull();
    }

    [Fact]
    public async Task What_is_written_is_read_whole_with_the_memory_that_goes_with_it()
    {
        var feed = await CreateAsync();

        (await feed.WriteAsync(7, At, [Plan("one", 1)], Token)).ShouldBeTrue();
        (await feed.WriteAsync(7, At.AddSeconds(1), [Plan("two", 2)], Token)).ShouldBeTrue();

        var whole = (await feed.ReadAsync(Token)).ShouldNotBeNull();
        (whole.Epoch, whole.At).ShouldBe((7, At.AddSeconds(1)));
        whole.Plans.OrderBy(plan => plan.Model.Value).Select(plan => (plan.Model.Value, plan.Decisions[0].Replicas, plan.Decisions[0].Reasons[0], plan.Mean.PromptTokens, plan.Memory.Of(plan.Decisions[0].Pool).Replicas, plan.Memory.LastHadWork))
            .ShouldBe([("one", 1, "because", 11, 1, true), ("two", 2, "because", 11, 2, true)]);
    }

    [Fact]
    public async Task A_planner_of_an_older_epoch_writes_nothing()
    {
        var feed = await CreateAsync();
        await feed.WriteAsync(8, At, [Plan("one", 1)], Token);

        (await feed.WriteAsync(7, At, [Plan("one", 5)], Token)).ShouldBeFalse();

        (await feed.ReadAsync(Token))!.Plans.Single().Decisions[0].Replicas.ShouldBe(1);
        (await feed.WriteAsync(9, At, [], Token)).ShouldBeTrue();
        (await feed.ReadAsync(Token))!.Epoch.ShouldBe(9);
    }

    [Fact]
    public async Task A_follower_gets_what_is_there_and_then_each_update_also_one_without_plans()
    {
        var feed = await CreateAsync();
        await feed.WriteAsync(1, At, [Plan("one", 1), Plan("two", 2)], Token);
        await using var updates = feed.WatchAsync(Token).Enumerate(Token);

        var first = await NextAsync(updates);
        first.Plans.Count.ShouldBe(2);

        await feed.WriteAsync(1, At.AddSeconds(1), [Plan("one", 3)], Token);
        var second = await NextAsync(updates);
        second.Plans.Single(plan => plan.Model.Value == "one").Decisions[0].Replicas.ShouldBe(3);

        await feed.WriteAsync(2, At.AddSeconds(2), [], Token);
        var third = await NextAsync(updates);
        (third.Epoch, third.At).ShouldBe((2, At.AddSeconds(2)));
        (first.IsOlderThan(second), second.IsOlderThan(third), third.IsOlderThan(first)).ShouldBe((true, true, false));
    }

    [Fact]
    public async Task More_models_than_one_message_holds_arrive()
    {
        var feed = await CreateAsync();
        await feed.WriteAsync(1, At, [.. Enumerable.Range(0, 1000).Select(number => Plan($"m{number}", number % 5))], Token);

        (await feed.ReadAsync(Token))!.Plans.Count.ShouldBe(1000);
    }

    private static async Task<PlanUpdate> NextAsync(IAsyncEnumerator<PlanUpdate> updates)
    {
        (await updates.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return updates.Current;
    }

    private static SharedPlan Plan(string model, int replicas)
    {
        var pool = new PoolName($"{model}-cpu");
        var memory = PlannerMemory.Empty with
        {
            LastHadWork = true,
            Pools = ImmutableDictionary<string, PoolMemory>.Empty.Add(pool.Value, PoolMemory.Nothing with { Replicas = replicas, Recent = [new WantedReplicas(At, replicas)] }),
        };
        return new SharedPlan(new ModelName(model), [new ScaleDecision(pool, At, replicas, replicas > 0, ["because"])], memory, new RequestMean(11, 7));
    }
}
