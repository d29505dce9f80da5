using Serverless.Leases;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Dispatching;

public sealed class MemoryLeasesTests : LeasesContract
{
    private readonly TestClock _time = new();

    protected override ValueTask<ILeases> CreateAsync() => new(new MemoryLeases(_time));

    protected override ValueTask RunOutAsync(Lease lease)
    {
        _time.Advance(TimeToLive);
        return ValueTask.CompletedTask;
    }
}
