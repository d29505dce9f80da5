using Serverless.Leases;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

public sealed class RedisLeasesTests(SharedRedis redis) : LeasesContract, IClassFixture<SharedRedis>, IAsyncDisposable
{
    private RedisParts? _parts;

    public async ValueTask DisposeAsync()
    {
        if (_parts is not null) await _parts.DisposeAsync();
    }

    protected override async ValueTask<ILeases> CreateAsync() => (_parts = await redis.OpenAsync(Token)).Leases();

    protected override async ValueTask RunOutAsync(Lease lease)
    {
        var left = await redis.Server!.CommandAsync($"PTTL serverless:lease:{lease.Name}", Token);
        long.Parse(left[1..], System.Globalization.CultureInfo.InvariantCulture).ShouldBeInRange(1, (long)TimeToLive.TotalMilliseconds);
        await redis.Server.CommandAsync($"PEXPIREAT serverless:lease:{lease.Name} 1", Token);
    }
}
