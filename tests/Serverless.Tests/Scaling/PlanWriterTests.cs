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

        _demand.Publish(Backlog(1000, _time.GetUtcNow()) with { PendingRequests = 1000 });
        await writer.WriteAsync(1, catalog, null, Token);
        var second = await ReplicasAsync();
        _capacity.Publish(Capacity() with { LastColdStartSeconds = 1 });
        await writer.WriteAsync(1, catalog, null, Token);

        second.ShouldBeGreaterThan(first);
        (await ReplicasAsync()).ShouldBeGreaterThan(second, "starts are cheap after all");
    }

    /// <summary>Also from another planner's plan, which still names it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_model_that_is_deleted_gives_its_budget_back(bool takenOver)
    {
        var (kept, deleted) = (Named("kept"), Named("deleted"));
        var options = Options with { EconomicFactor = 0.01, Budgets = new Dictionary<string, int> { ["cpu"] = 6 } };
        var writer = Writer(options);
        foreach (var model in new[] { kept, deleted }) _demand.Publish(Backlog(40, _time.GetUtcNow()) with { Model = model.Name });
        await writer.WriteAsync(1, new ModelCatalog([kept, deleted]), null, Token);
        (await OfAsync(kept)).ShouldBe(3, "they share it");

        _time.Advance(TimeSpan.FromSeconds(1));
        foreach (var model in new[] { kept, deleted }) _demand.Publish(Backlog(40, _time.GetUtcNow()) with { Model = model.Name });
        if (takenOver) await writer.ResumeAsync(Token);
        await writer.WriteAsync(1, new ModelCatalog([kept]), null, Token);

        (await OfAsync(kept)).ShouldBe(6);

        async Task<int> OfAsync(Model model) => (await _plans.ReadAsync(Token))!.Plans.Single(plan => plan.Model == model.Name).Decisions.Single().Replicas;

        static Model Named(string name) => Model() with { Name = new ModelName(name) };
    }

    /// <summary>A thousand models at zero, of which most were never asked for: each is planned once, and then nothing is planned or written until there is work.</summary>
    [Fact]
    public async Task Models_at_zero_are_planned_once()
    {
        var catalog = new ModelCatalog(Enumerable.Range(0, 1000).Select(number => Model() with { Name = new ModelName($"m{number:D4}") }));
        foreach (var model in catalog.Models.Take(100)) _demand.Publish(Idle(_time.GetUtcNow()) with { Model = model.Name });
        var writer = Writer();
        await writer.WriteAsync(1, catalog, null, Token);
        (await _plans.ReadAsync(Token))!.Plans.Count.ShouldBe(1000);

        await using var updates = _plans.WatchAsync(Token).GetAsyncEnumerator(Token);
        await updates.MoveNextAsync();
        for (var second = 0; second < 20; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await writer.WriteAsync(1, catalog, null, Token);
            (await updates.MoveNextAsync()).ShouldBeTrue();
            updates.Current.Plans.ShouldBeEmpty("a sign of life, and nothing else");
        }

        writer.Planned.ShouldBe(1000);
    }

    /// <summary>Nobody asked for it, so nobody names the model.</summary>
    [Fact]
    public async Task A_replica_that_came_up_unasked_for_a_model_at_rest_is_seen_within_five_seconds()
    {
        var (writer, catalog) = (Writer(), new ModelCatalog([Model()]));
        await writer.WriteAsync(1, catalog, null, Token);
        await writer.WriteAsync(1, catalog, null, Token);
        writer.Planned.ShouldBe(1);

        _capacity.Publish(Capacity() with { Desired = 1, Ready = 1 });
        for (var second = 0; second < 5; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await writer.WriteAsync(1, catalog, null, Token);
        }

        writer.Planned.ShouldBe(2);
    }

    [Fact]
    public async Task A_model_at_rest_that_is_named_is_planned_at_once_and_every_second_while_it_has_work()
    {
        var (writer, catalog) = (Writer(), new ModelCatalog([Model()]));
        await writer.WriteAsync(1, catalog, null, Token);
        await writer.WriteAsync(1, catalog, null, Token);

        _demand.Publish(Backlog(10, _time.GetUtcNow()));
        await writer.WriteAsync(1, catalog, catalog.Models, Token);
        (await ReplicasAsync()).ShouldBeGreaterThan(0);
        _time.Advance(TimeSpan.FromSeconds(1));
        await writer.WriteAsync(1, catalog, null, Token);

        writer.Planned.ShouldBe(3);
    }

    private async Task<int> ReplicasAsync() => (await _plans.ReadAsync(Token))!.Plans.Single().Decisions.Single().Replicas;

    private PlanWriter Writer(PlannerOptions? shipped = null)
    {
        var (catalog, options) = (TestCatalog.Of(Model().Name), shipped ?? Options);
        return new PlanWriter(new PoolPlanner(options), options, new BelievedDemand(_demand, catalog, options, _time), _capacity, _plans, _time);
    }
}
