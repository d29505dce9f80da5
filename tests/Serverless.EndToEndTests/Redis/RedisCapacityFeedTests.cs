using Serverless.Scaling.Capacity;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Redis;

public sealed class RedisCapacityFeedTests(SharedRedis redis) : CapacityFeedContract, IClassFixture<SharedRedis>, IAsyncDisposable
{
    private readonly List<RedisParts> _parts = [];

    public async ValueTask DisposeAsync()
    {
        foreach (var parts in _parts) await parts.DisposeAsync();
    }

    protected override async ValueTask<(ICapacityFeed Publisher, ICapacityFeed Reader)> CreateAsync()
    {
        for (var i = 0; i < 2; i++) _parts.Add(await redis.OpenAsync(TestContext.Current.CancellationToken));
        return (await _parts[0].CapacityAsync(TestContext.Current.CancellationToken), await _parts[1].CapacityAsync(TestContext.Current.CancellationToken));
    }
}
