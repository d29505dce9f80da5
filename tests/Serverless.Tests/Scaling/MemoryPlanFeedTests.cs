using Serverless.Scaling.Plans;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Scaling;

public sealed class MemoryPlanFeedTests : PlanFeedContract
{
    protected override ValueTask<IPlanFeed> CreateAsync() => new(new MemoryPlanFeed());
}
