using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Gateway.Pools;
using Serverless.Scaling;
using Shouldly;

namespace Serverless.Tests.Gateway.Pools;

public sealed class PoolStatesTests
{
    private static readonly Model Model = new()
    {
        Name = new ModelName("m"),
        Family = "test",
        Source = new ModelSource("simulated", "m"),
        ContextTokens = 100,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "gpu", AcceleratorClass = "gpu" }, new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
    };

    private static readonly PoolCapacity Zero = new() { Pool = new PoolName("m-cpu") };

    [Fact]
    public void A_pools_state_is_what_matters_most_of_it()
    {
        PoolStates.Of(Zero).ShouldBe(PoolState.Zero);
        PoolStates.Of(Zero with { Desired = 1 }).ShouldBe(PoolState.Starting);
        PoolStates.Of(Zero with { LoadingSince = [default] }).ShouldBe(PoolState.Starting);
        PoolStates.Of(Zero with { Desired = 1, LastFailure = "no such file" }).ShouldBe(PoolState.Failed);
        PoolStates.Of(Zero with { Draining = 1 }).ShouldBe(PoolState.Draining);
        PoolStates.Of(Zero with { Ready = 1, Desired = 2, LastFailure = "one of two" }).ShouldBe(PoolState.Ready);
    }

    [Fact]
    public void Every_state_has_its_own_word() =>
        Enum.GetValues<PoolState>().Select(PoolStates.Word).ShouldBe(["zero", "starting", "ready", "draining", "failed"]);

    [Fact]
    public void A_notice_tells_each_pools_state_and_what_is_ahead()
    {
        var capacity = new MemoryCapacityFeed();
        var demand = new MemoryDemandFeed();
        capacity.Publish(new PoolCapacity { Pool = new PoolName("m-gpu"), Desired = 1, LastFailure = "bad\r\nmagic" });
        capacity.Publish(Zero with { Desired = 1, LoadingSince = [default], LoadingProgress = 0.426 });
        demand.Publish(new Demand { Model = Model.Name, At = default, PendingRequests = 2, PendingPromptTokens = 100, PendingOutputTokens = 60 });

        new WaitNotice(capacity, demand).Describe(Model, 40)
            .ShouldBe("pool m-gpu failed to start and is tried again: bad magic; pool m-cpu is loading 43 %, up to 1 request ahead, 120 tokens ahead");
    }
}
