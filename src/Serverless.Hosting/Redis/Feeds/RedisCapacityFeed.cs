using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;
using Serverless.Scaling.Capacity;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>The state of pools, from whoever runs replicas to other processes. It changes rarely, so the process that said it last stands by it; five minutes after that process is gone it is forgotten.</summary>
internal sealed class RedisCapacityFeed(RedisConnection redis, Supervisor supervisor, TimeProvider time, ILogger<RedisCapacityFeed> logger) : ICapacityFeed, IRedisPart, IAsyncDisposable
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    private readonly RedisLatest<PoolCapacity> _latest = new(redis, redis.Keys.Capacity, new(capacity => capacity.Pool.Value, FeedJson.Default.PoolCapacity, Lifetime, KeepAlive: true), supervisor, time, logger);

    public void Publish(PoolCapacity capacity)
    {
        ArgumentNullException.ThrowIfNull(capacity);
        _latest.Publish(capacity.Pool.Value, capacity);
    }

    public PoolCapacity Latest(PoolName pool) => _latest.Latest(pool.Value) ?? new PoolCapacity { Pool = pool };

    public IAsyncEnumerable<PoolCapacity> WatchAsync(PoolName pool, CancellationToken cancellationToken) => _latest.WatchAsync(pool.Value, cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => _latest.StartAsync(cancellationToken);

    public ValueTask DisposeAsync() => _latest.DisposeAsync();
}
