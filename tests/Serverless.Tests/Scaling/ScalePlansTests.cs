using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

public sealed class ScalePlansTests
{
    private readonly TestClock _time = new(Start);
    private readonly MemoryDemandFeed _demand = new();
    private readonly MemoryPlanFeed _plans = new();

    [Fact]
    public async Task The_journal_keeps_each_change_with_its_inputs_and_forgets_the_oldest()
    {
        var catalog = new OneModel();
        var believed = new BelievedDemand(_demand, catalog, Options, _time);
        var plans = new ScalePlans(catalog, believed, _time);
        var writer = new PlanWriter(new PoolPlanner(Options), Options, believed, new MemoryCapacityFeed(), _plans, _time);
        for (var i = 1; i <= 300; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(40));
            _demand.Publish(Idle(_time.GetUtcNow()) with { RunningRequests = i % 2 == 0 ? 1 : 33 });
            (await writer.WriteAsync(1, catalog.Current, null, TestContext.Current.CancellationToken)).ShouldBeTrue();
            plans.Take((await _plans.ReadAsync(TestContext.Current.CancellationToken))!);
        }

        var history = plans.History(PoolOfModel);

        history.Count.ShouldBe(256);
        history[^1].Inputs!.RunningRequests.ShouldBe(1);
        history[^2].Inputs!.ForSlots.ShouldBe(3);
        history.Select(decision => decision.At).ShouldBeInOrder();
    }

    /// <summary>The planner's machine is an hour ahead of this one, or behind it: work that is told after its plan counts all the same.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public void Work_told_after_a_plan_of_zero_is_answered_whatever_the_planners_clock_says(int hours)
    {
        var (catalog, pool) = (new OneModel(), PoolOfModel);
        var plans = new ScalePlans(catalog, new BelievedDemand(_demand, catalog, Options, _time), _time);
        var zero = new SharedPlan(Model().Name, [new ScaleDecision(pool, Start.AddHours(hours), 0, false, []) { Inputs = Plan(Backlog(1)).Decisions[0].Inputs }], PlannerMemory.Empty, RequestMean.Prior);
        _demand.Publish(Backlog(1, _time.GetUtcNow()));
        _time.Advance(TimeSpan.FromSeconds(1));
        plans.Take(new PlanUpdate(1, 1, Start.AddHours(hours), [zero]));
        plans.Latest(pool)!.Replicas.ShouldBe(0, "the plan is younger");

        _time.Advance(TimeSpan.FromSeconds(1));
        _demand.Publish(Backlog(1, _time.GetUtcNow()));

        plans.Latest(pool)!.ShouldSatisfyAllConditions(decision => decision.Active.ShouldBeTrue(), decision => decision.Replicas.ShouldBe(1));
        plans.Take(new PlanUpdate(1, 1, Start.AddHours(hours), [zero])).ShouldBeTrue();
        plans.Latest(pool)!.Replicas.ShouldBe(1, "the same plan read again is no younger");
    }

    private sealed class OneModel : ICatalogSource
    {
        public ModelCatalog Current { get; } = new([Model()]);
    }
}
