using Serverless.Demand;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Dispatching;

public sealed class MemoryDemandFeedTests : DemandFeedContract
{
    protected override ValueTask<(IDemandFeed Publisher, IDemandFeed Reader)> CreateAsync()
    {
        var feed = new MemoryDemandFeed();
        return new((feed, feed));
    }
}
