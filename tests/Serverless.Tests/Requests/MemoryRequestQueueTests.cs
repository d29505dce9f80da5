using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Requests;

public sealed class MemoryRequestQueueTests : RequestQueueContract
{
    protected override ValueTask<IRequestQueue> CreateAsync(QueueLimits limits) => new(new MemoryRequestQueue(limits));
}
