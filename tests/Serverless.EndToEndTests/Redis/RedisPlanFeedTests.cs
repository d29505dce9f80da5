using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Scaling.Plans;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Redis;

public sealed class RedisPlanFeedTests(SharedRedis redis) : PlanFeedContract, IClassFixture<SharedRedis>, IAsyncDisposable
{
    private RedisParts? _parts;

    public async ValueTask DisposeAsync()
    {
        if (_parts is not null) await _parts.DisposeAsync();
    }

    protected override async ValueTask<IPlanFeed> CreateAsync()
    {
        _parts = await redis.OpenAsync(Token, options => options.KeyPrefix = $"plans-{Guid.NewGuid():N}:");
        return new RedisPlanFeed(_parts.Connection, TimeProvider.System, NullLogger<RedisPlanFeed>.Instance);
    }
}
