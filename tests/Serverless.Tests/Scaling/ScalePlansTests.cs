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

    [Fact]
    public void A_pool_that_was_taken_to_zero_is_told_as_that_and_not_by_what_the_plan_keeps()
    {
        var (catalog, pool, capacity, steps) = (new OneModel(), PoolOfModel, new MemoryCapacityFeed(), new Steps());
        var plans = new ScalePlans(catalog, new BelievedDemand(_demand, catalog, Options, _time), _time, capacity, steps);
        IScaleJournal journal = plans;
        Take(plans, 1, 1, active: true, "37 prompt and 64 output tokens pending, 0 requests running = 0.4 replica-seconds; target 5 s → 1");
        plans.LookAround();
        capacity.Publish(new PoolCapacity { Pool = pool, Desired = 1, Ready = 1 });
        _time.Advance(TimeSpan.FromSeconds(1));
        Take(plans, 2, 1, active: false, "1 were wanted within the last 60 s → stays 1");
        plans.LookAround();
        journal.Latest(pool)!.Replicas.ShouldBe(1, "it is still up");

        _time.Advance(TimeSpan.FromSeconds(3));
        capacity.Publish(new PoolCapacity { Pool = pool });
        plans.LookAround();
        plans.LookAround();
        Take(plans, 3, 0, active: false, "no work pending or running → 0");

        journal.Latest(pool)!.ShouldSatisfyAllConditions(decision => decision.Replicas.ShouldBe(0), decision => decision.Active.ShouldBeFalse(), decision => decision.Reasons.ShouldBe(["idle for 4 s → 0"]));
        journal.History(pool).Select(decision => (decision.Replicas, decision.Active)).ShouldBe([(1, true), (1, false), (0, false)], "the cooldown is a decision of its own, and what is planned for a pool at rest is none");
        plans.Newest(pool)!.Reasons.ShouldBe(["idle for 4 s → 0"]);

        Take(plans, 4, 2, active: true, "work is there → 2");
        journal.Latest(pool)!.Replicas.ShouldBe(2);
        steps.Told.ShouldBe(["0 → 1: 37 prompt and 64 output tokens pending, 0 requests running", "1 → 0: idle for 4 s", "0 → 2: work is there"]);
    }

    [Fact]
    public void A_pool_at_zero_that_the_plan_would_keep_warm_is_told_to_be_at_zero()
    {
        var (catalog, pool) = (new OneModel(), PoolOfModel);
        var plans = new ScalePlans(catalog, new BelievedDemand(_demand, catalog, Options, _time), _time, new MemoryCapacityFeed(), new Steps());
        Take(plans, 1, 1, active: false, "keeps 1 warm");

        plans.LookAround();

        ((IScaleJournal)plans).Latest(pool)!.Reasons.ShouldBe(["no work → 0"]);
        plans.Latest(pool)!.Replicas.ShouldBe(1, "KEDA is answered as before: zero is its own doing");
    }

    [Fact]
    public void Models_at_rest_are_looked_at_when_their_demand_changes_and_every_five_seconds()
    {
        var (catalog, pool) = (new OneModel(), PoolOfModel);
        var plans = new ScalePlans(catalog, new BelievedDemand(_demand, catalog, Options, _time), _time, new MemoryCapacityFeed());
        Take(plans, 1, 0, active: false, "no work pending or running → 0");
        plans.LookAround();
        _time.Advance(TimeSpan.FromSeconds(1));
        _demand.Publish(Backlog(1, _time.GetUtcNow()));
        var changes = plans.Changes;

        plans.LookAround();
        plans.Watch(pool).Decision!.Active.ShouldBeFalse("it rests, and nothing was told");
        plans.Changes.ShouldBe(changes);

        plans.Wake([Model().Name]);
        plans.LookAround();
        plans.Watch(pool).Decision!.Active.ShouldBeTrue();
        plans.Changes.ShouldBe(changes + 1);

        _demand.Publish(Idle(_time.GetUtcNow()));
        plans.LookAround();
        plans.Watch(pool).Decision!.Active.ShouldBeFalse("a model with work is looked at each second until it has none");

        _demand.Publish(Backlog(1, _time.GetUtcNow() + TimeSpan.FromSeconds(1)));
        _time.Advance(TimeSpan.FromSeconds(5));
        plans.LookAround();
        plans.Watch(pool).Decision!.Active.ShouldBeTrue("whatever was told");
    }

    private void Take(ScalePlans plans, int sequence, int replicas, bool active, string reason) =>
        plans.Take(new PlanUpdate(1, sequence, _time.GetUtcNow(), [new SharedPlan(Model().Name, [new ScaleDecision(PoolOfModel, _time.GetUtcNow(), replicas, active, [reason])], PlannerMemory.Empty, RequestMean.Prior)])).ShouldBeTrue();

    private sealed class Steps : IScaleObserver
    {
        public List<string> Told { get; } = [];

        public void Scaled(PoolName pool, int from, int to, string reason) => Told.Add($"{from} → {to}: {reason}");
    }

    private sealed class OneModel : ICatalogSource
    {
        public ModelCatalog Current { get; } = new([Model()]);
    }
}
