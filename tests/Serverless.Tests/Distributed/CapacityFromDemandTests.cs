using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.Tests.Distributed;

/// <summary>The state of a pool by the workers that its dispatcher sees.</summary>
public sealed class CapacityFromDemandTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_790_000_000);
    private static readonly PoolName Pool = new("tiny-cpu");

    private readonly MemoryCapacityFeed _capacity = new();
    private readonly CapacityFromDemand _feed;

    public CapacityFromDemandTests() => _feed = new CapacityFromDemand(new MemoryDemandFeed(), _capacity, new OneModel());

    [Fact]
    public void A_replica_that_loads_and_then_takes_work_has_made_a_cold_start()
    {
        Publish(0, Replica("a", loading: true, progress: 0.25));
        _capacity.Latest(Pool).ShouldBe(new PoolCapacity { Pool = Pool, Desired = 1, LoadingSince = _capacity.Latest(Pool).LoadingSince, LoadingProgress = 0.25 });
        _capacity.Latest(Pool).LoadingSince.ShouldBe([Start]);

        Publish(4, Replica("a"));

        var ready = _capacity.Latest(Pool);
        (ready.Desired, ready.Ready, ready.LastColdStartSeconds).ShouldBe((1, 1, 4));
        ready.LoadingSince.ShouldBeEmpty();
    }

    [Fact]
    public void A_replica_that_leaves_is_not_desired_and_one_that_left_is_gone()
    {
        Publish(0, Replica("a"), Replica("b", draining: true));
        (_capacity.Latest(Pool).Desired, _capacity.Latest(Pool).Ready, _capacity.Latest(Pool).Draining).ShouldBe((1, 1, 1));

        Publish(1);

        (_capacity.Latest(Pool).Desired, _capacity.Latest(Pool).Ready, _capacity.Latest(Pool).Draining).ShouldBe((0, 0, 0));
    }

    [Fact]
    public void What_does_not_change_is_told_again_after_five_seconds_alone()
    {
        Publish(0, Replica("a"));
        var told = _capacity.Latest(Pool);

        Publish(1, Replica("a"));
        _capacity.Latest(Pool).ShouldBeSameAs(told);
        Publish(6, Replica("a"));
        _capacity.Latest(Pool).ShouldNotBeSameAs(told);
    }

    private static ReplicaDemand Replica(string name, bool loading = false, bool draining = false, double progress = 0) =>
        new(name, Pool, draining, 0, 4, 0, 4096, 0, 0) { Loading = loading, Since = loading ? Start : null, LoadingProgress = progress };

    private void Publish(int seconds, params ReplicaDemand[] replicas) => _feed.Publish(new ModelDemand { Model = new ModelName("tiny"), At = Start.AddSeconds(seconds), Replicas = replicas });

    private sealed class OneModel : ICatalogSource
    {
        public ModelCatalog Current { get; } = new(
        [
            new Model { Name = new ModelName("tiny"), Family = "f", Source = new ModelSource("simulated", "tiny"), ContextTokens = 100, Backend = "simulated", Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }] },
        ]);
    }
}
