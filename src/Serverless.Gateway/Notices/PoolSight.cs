using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Gateway.Pools;
using Serverless.Scaling.Capacity;

namespace Serverless.Gateway.Notices;

/// <summary>Where pools are, in a word for those who are told when it changes. Thread-safe.</summary>
internal sealed class PoolSight(ICatalogSource catalog, ICapacityFeed capacity, IDemandFeed demand)
{
    private const string AtLimit = "at_limit";

    public IEnumerable<Pool> Pools => catalog.Current.Pools;

    /// <summary>The word. A pool is at its limit from the moment that work waits while its model has all the replicas it may have, and until it has fewer: not with each request that waits.</summary>
    /// <param name="pool">Which.</param>
    /// <param name="before">The word before.</param>
    public string StateOf(Pool pool, string? before)
    {
        var now = capacity.Latest(pool.Name);
        if (now.UnschedulableSince.Count > 0) return "no_room";

        var state = PoolStates.Of(now);
        return state == PoolState.Ready && HasAll(pool.Model) && (before == AtLimit || demand.Latest(pool.Model.Name) is { PendingRequests: > 0 }) ? AtLimit : PoolStates.Word(state);
    }

    private bool HasAll(Model model) => model.Pools.Sum(pool => capacity.Latest(pool.Name).Desired) >= model.Scaling.MaxReplicas;
}
