using Serverless.Catalog;

namespace Serverless.Scaling.Capacity;

/// <summary>Port: the state of pools, from whoever runs replicas to scalers and gateways; the latest of each pool counts. In memory; Redis.</summary>
public interface ICapacityFeed
{
    /// <summary>Replaces the pool's state. Never blocks, never throws.</summary>
    void Publish(PoolCapacity capacity);

    /// <summary>The pool's latest state; all zero before the first.</summary>
    PoolCapacity Latest(PoolName pool);

    /// <summary>The pool's state now and whenever it changes; a slow reader sees only the latest.</summary>
    IAsyncEnumerable<PoolCapacity> WatchAsync(PoolName pool, CancellationToken cancellationToken);
}
