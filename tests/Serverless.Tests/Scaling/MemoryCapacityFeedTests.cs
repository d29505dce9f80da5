using Serverless.Scaling.Capacity;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Scaling;

public sealed class MemoryCapacityFeedTests : CapacityFeedContract
{
    protected override ValueTask<(ICapacityFeed Publisher, ICapacityFeed Reader)> CreateAsync()
    {
        var feed = new MemoryCapacityFeed();
        return new((feed, feed));
    }
}
