using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Gateway.Waiting;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.Tests.Gateway.Waiting;

public sealed class WaitNoticeTests
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

    private readonly MemoryCapacityFeed _capacity = new();
    private readonly MemoryDemandFeed _demand = new();
    private readonly TestClock _time = new();
    private readonly WaitNotice _notice;

    public WaitNoticeTests() => _notice = new WaitNotice(_capacity, new QueueView(_capacity, _demand, Options.Create(new WaitOptions()), _time));

    [Fact]
    public void A_notice_tells_each_pools_state_what_is_ahead_and_how_long_it_takes()
    {
        _capacity.Publish(new PoolCapacity { Pool = new PoolName("m-gpu"), Desired = 1, LastFailure = "bad\r\nmagic" });
        _capacity.Publish(new PoolCapacity { Pool = new PoolName("m-cpu"), Desired = 1, LoadingSince = [_time.GetUtcNow()], LoadingProgress = 0.426 });
        _demand.Publish(new ModelDemand { Model = Model.Name, At = default, PendingRequests = 2, PendingPromptTokens = 100, PendingOutputTokens = 60, ServedTokensPerSecond = 10 });

        _notice.Describe(Model, new FairPlace(Lane.Interactive) { OwnTokens = 40 })
            .ShouldBe("pool m-gpu failed to start and is tried again: bad magic; pool m-cpu is loading 43 %, up to 120 tokens ahead, about 50 s");
    }

    [Fact]
    public void What_came_later_is_not_ahead()
    {
        _capacity.Publish(new PoolCapacity { Pool = new PoolName("m-gpu"), Desired = 1, Ready = 1 });
        _demand.Publish(new ModelDemand { Model = Model.Name, At = default, PendingRequests = 9, PendingPromptTokens = 900 });

        _notice.Describe(Model, new FairPlace(Lane.Interactive) { OwnTokens = 100, AtMost = 0 }).ShouldBe("pool m-gpu has 1 ready; pool m-cpu is at zero");
    }
}
