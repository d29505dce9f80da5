using Microsoft.Extensions.Time.Testing;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Scaling;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

public sealed class ScalePlansTests
{
    private readonly FakeTimeProvider _time = new(Start);
    private readonly MemoryDemandFeed _demand = new();

    [Fact]
    public void The_journal_keeps_each_change_with_its_inputs_and_forgets_the_oldest()
    {
        var plans = Plans();
        for (var i = 1; i <= 300; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(40));
            _demand.Publish(Idle(_time.GetUtcNow()) with { RunningRequests = i % 2 == 0 ? 1 : 33 });
            plans.Plan(Model());
        }

        var history = plans.History(PoolOfModel);

        history.Count.ShouldBe(256);
        history[^1].ShouldBe(plans.Latest(PoolOfModel));
        history[^1].Inputs!.RunningRequests.ShouldBe(1);
        history[^2].Inputs!.ForSlots.ShouldBe(3);
        history.Select(decision => decision.At).ShouldBeInOrder();
    }

    [Fact]
    public void What_was_learned_is_taken_up_again_by_the_planner_that_takes_over()
    {
        var first = Plans();
        for (var second = 0; second < 30; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            _demand.Publish(Idle(_time.GetUtcNow()) with { RunningRequests = 16, Replicas = [new ReplicaDemand("r", PoolOfModel, false, 16, 16, 0, 32768, 300, 30)] });
            first.Plan(Model());
        }

        var successor = Plans();
        successor.Restore(new ModelName("m"), first.Memory(new ModelName("m")));
        successor.Plan(Model());

        successor.Latest(PoolOfModel)!.Inputs!.PrefillRate.ShouldBe(first.Latest(PoolOfModel)!.Inputs!.PrefillRate);
        successor.Latest(PoolOfModel)!.Inputs!.PrefillRate.ShouldBe(300, 5);
    }

    private ScalePlans Plans() => new(new PoolPlanner(Options), new OneModel(), _demand, new MemoryCapacityFeed(), _time);

    private sealed class OneModel : ICatalogSource
    {
        public ModelCatalog Current { get; } = new([Model()]);
    }
}
