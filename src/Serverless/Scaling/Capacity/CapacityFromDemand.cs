using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Demand;

namespace Serverless.Scaling.Capacity;

/// <summary>
/// A demand feed that also tells what there is of each pool, by the workers that the dispatcher sees: for a shape in which nobody who runs replicas says it.
/// A pool's state is told when it changes, and every five seconds. Thread-safe.
/// </summary>
public sealed class CapacityFromDemand(IDemandFeed feed, ICapacityFeed capacity, ICatalogSource catalog) : IDemandFeed
{
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<PoolName, Told> _told = new();

    /// <inheritdoc/>
    public void Publish(ModelDemand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        feed.Publish(demand);
        foreach (var pool in catalog.Current.Find(demand.Model)?.Pools ?? []) Tell(pool.Name, demand);
    }

    /// <inheritdoc/>
    public void Renew(DateTimeOffset now) => feed.Renew(now);

    /// <inheritdoc/>
    public void Withdraw(ModelName model) => feed.Withdraw(model);

    /// <inheritdoc/>
    public ModelDemand? Latest(ModelName model) => feed.Latest(model);

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => feed.WatchAsync(model, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => feed.WatchAllAsync(cancellationToken);

    private static bool Same(PoolCapacity one, PoolCapacity other) =>
        one with { LoadingSince = [] } == other with { LoadingSince = [] } && one.LoadingSince.SequenceEqual(other.LoadingSince);

    private void Tell(PoolName pool, ModelDemand seen)
    {
        var replicas = seen.Replicas.Where(replica => replica.Pool == pool).ToList();
        var before = _told.GetValueOrDefault(pool);
        var state = Capacity(pool, replicas, before, seen.At);
        if (before is not null && Same(before.State, state) && seen.At - before.At < Refresh) return;

        _told[pool] = new Told(state, seen.At, replicas.Where(replica => replica.Loading).ToDictionary(replica => replica.Replica, replica => replica.Since ?? seen.At, StringComparer.Ordinal));
        capacity.Publish(state);
    }

    /// <summary>A replica that was loading when it was last told and takes work now has made a cold start.</summary>
    private static PoolCapacity Capacity(PoolName pool, List<ReplicaDemand> replicas, Told? before, DateTimeOffset now)
    {
        var loading = replicas.Where(replica => replica.Loading && !replica.Draining).ToList();
        var ready = replicas.Where(replica => !replica.Loading && !replica.Draining).ToList();
        var started = ready.Where(replica => before?.Loading.ContainsKey(replica.Replica) == true).Select(replica => (now - before!.Loading[replica.Replica]).TotalSeconds).ToList();
        return new PoolCapacity
        {
            Pool = pool,
            Desired = ready.Count + loading.Count,
            Ready = ready.Count,
            LoadingSince = [.. loading.Select(replica => replica.Since ?? before?.Loading.GetValueOrDefault(replica.Replica, now) ?? now)],
            Draining = replicas.Count(replica => replica.Draining),
            LoadingProgress = loading.Count > 0 ? Furthest(loading) : null,
            Pulling = loading.Count > 0 && loading.All(replica => replica.Pulling),
            LastColdStartSeconds = started.Count > 0 ? started.Max() : before?.State.LastColdStartSeconds,
        };
    }

    /// <summary>One that loads is further than all that pull.</summary>
    private static double Furthest(List<ReplicaDemand> loading) => loading.OrderBy(replica => replica.Pulling).ThenByDescending(replica => replica.LoadingProgress).First().LoadingProgress;

    private sealed record Told(PoolCapacity State, DateTimeOffset At, IReadOnlyDictionary<string, DateTimeOffset> Loading);
}
