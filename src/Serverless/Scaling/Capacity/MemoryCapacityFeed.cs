using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Feeds;

namespace Serverless.Scaling.Capacity;

/// <summary>Capacity within one process.</summary>
public sealed class MemoryCapacityFeed : ICapacityFeed
{
    private readonly ConcurrentDictionary<PoolName, LatestValue<PoolCapacity>> _pools = new();

    /// <inheritdoc/>
    public void Publish(PoolCapacity capacity)
    {
        ArgumentNullException.ThrowIfNull(capacity);
        Of(capacity.Pool).Set(capacity);
    }

    /// <inheritdoc/>
    public PoolCapacity Latest(PoolName pool) => Of(pool).Value ?? new PoolCapacity { Pool = pool };

    /// <inheritdoc/>
    public IAsyncEnumerable<PoolCapacity> WatchAsync(PoolName pool, CancellationToken cancellationToken) => Of(pool).WatchAsync(cancellationToken);

    private LatestValue<PoolCapacity> Of(PoolName pool) => _pools.GetOrAdd(pool, _ => new LatestValue<PoolCapacity>());
}
