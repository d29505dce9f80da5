using Serverless.Demand;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Dispatching;

public sealed class MemoryDemandFeedTests : DemandFeedContract
{
    private readonly TestClock _time = new();

    protected override DateTimeOffset Now => _time.GetUtcNow();

    protected override Task PassAsync(TimeSpan time)
    {
        _time.Advance(time);
        return Task.CompletedTask;
    }

    protected override ValueTask<(IDemandFeed Publisher, IDemandFeed Reader)> CreateAsync()
    {
        var feed = new MemoryDemandFeed();
        return new((feed, feed));
    }
}
