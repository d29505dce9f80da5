using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Which models are planned, and what of it is written.</summary>
public sealed class PlanWriterTests
{
    private readonly TestClock _time = new(Start);
    private readonly MemoryDemandFeed _demand = new();
    private readonly MemoryCapacityFeed _capacity = new();
    private readonly MemoryPlanFeed _plans = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_plan_that_could_not_be_written_is_written_though_its_model_rests_by_now()
    {
        var writer = Writer();
        var catalog = new ModelCatalog([Model()]);
        _demand.Publish(Backlog(10, _time.GetUtcNow()));
        (await writer.WriteAsync(1, catalog, null, Token)).ShouldBeTrue();
        (await ReplicasAsync()).ShouldBeGreaterThan(0);
        await _plans.WriteAsync(2, _time.GetUtcNow(), [], Token);

        _time.Advance(TimeSpan.FromMinutes(10));
        _demand.Publish(Idle(_time.GetUtcNow()));
        (await writer.WriteAsync(1, catalog, null, Token)).ShouldBeFalse("another planner has written");
        (await writer.WriteAsync(2, catalog, null, Token)).ShouldBeTrue();

        (await ReplicasAsync()).ShouldBe(0);
    }

    [Fact]
    public async Task What_changed_is_planned_at_once_however_young_the_last_plan_is()
    {
        var writer = Writer();
        var catalog = new ModelCatalog([Model()]);
        _demand.Publish(Backlog(10, _time.GetUtcNow()));
        await writer.WriteAsync(1, catalog, null, Token);
        var first = await ReplicasAsync();

        _demand.Publish(Backlog(1000, _time.GetUtcNow()));
        await writer.WriteAsync(1, catalog, null, Token);
        var second = await ReplicasAsync();
        _capacity.Publish(Capacity() with { LastColdStartSeconds = 1 });
        await writer.WriteAsync(1, catalog, null, Token);

        second.ShouldBeGreaterThan(first);
        (await ReplicasAsync()).ShouldBeGreaterThan(second, "starts are cheap after all");
    }

    private async Task<int> ReplicasAsync() => (await _plans.ReadAsync(Token))!.Plans.Single().Decisions.Single().Replicas;

    private PlanWriter Writer()
    {
        var catalog = TestCatalog.Of(Model().Name);
        return new PlanWriter(new PoolPlanner(Options), Options, new BelievedDemand(_demand, catalog, Options, _time), _capacity, _plans, _time);
    }
}
