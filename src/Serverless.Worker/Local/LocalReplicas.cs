using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Loops;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Serverless.Worker.Local;

/// <summary>
/// The replicas of this process: what a Deployment and its pods are in a cluster. Each second there are made as many as were last asked for: one that ended unasked, whatever
/// ended it, is begun again after a pause that grows. Scaling down drains the newest. Thread-safe.
/// </summary>
internal sealed class LocalReplicas(ICatalogSource catalog, ReplicaParts parts, ICapacityFeed capacity, Supervisor supervisor) : IScaleTarget, IHostedService, IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly ICatalogSource _catalog = catalog;
    private readonly ReplicaParts _parts = parts;
    private readonly ICapacityFeed _capacity = capacity;
    private readonly ConcurrentDictionary<PoolName, PoolReplicas> _pools = new();
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _reconciling = Task.CompletedTask;

    public ValueTask ScaleAsync(PoolName pool, int replicas, CancellationToken cancellationToken)
    {
        var known = _catalog.Current.Find(pool) ?? throw new ArgumentException($"Pool '{pool}' is not in the catalogue.", nameof(pool));
        _pools.GetOrAdd(pool, _ => new PoolReplicas(known, this)).Scale(replicas);
        return ValueTask.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _reconciling = supervisor.RunAsync("replicas", ReconcileAsync, _leaving.Token);
        return Task.CompletedTask;
    }

    /// <summary>Lets what runs end while the host allows, then stops it.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _leaving.CancelAsync();
        await _reconciling;
        foreach (var pool in _pools.Values) pool.Scale(0);
        var gone = Task.WhenAll(_pools.Values.Select(pool => pool.GoneAsync()));
        await gone.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stop.CancelAsync();
        await gone;
    }

    public void Dispose()
    {
        _leaving.Dispose();
        _stop.Dispose();
    }

    private async Task ReconcileAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, _parts.Time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var pool in _pools.Values) pool.Reconcile();
        }
    }

    private sealed class PoolReplicas(Pool pool, LocalReplicas owner)
    {
        private readonly Lock _lock = new();
        private readonly List<(LocalReplica Replica, Task Running)> _replicas = [];
        private readonly Backoff _backoff = new(FirstPause, LongestPause);
        private Pool _pool = pool;
        private int _desired;
        private int _created;
        private DateTimeOffset _notBefore;
        private double? _lastColdStart;
        private string? _failure;

        /// <summary>Asks for so many.</summary>
        public void Scale(int replicas)
        {
            lock (_lock) _desired = replicas;
            Reconcile();
        }

        /// <summary>Drains those too many, and begins those missing; not before the pause after one that failed.</summary>
        public void Reconcile()
        {
            var changed = false;
            lock (_lock)
            {
                var live = _replicas.Where(entry => entry.Replica.Phase != ReplicaPhase.Draining).ToList();
                foreach (var (newest, _) in live.Skip(_desired))
                {
                    newest.Drain();
                    changed = true;
                }

                if (owner._parts.Time.GetUtcNow() >= _notBefore)
                {
                    for (var missing = _desired - live.Count; missing > 0; missing--)
                    {
                        StartNeedsLock();
                        changed = true;
                    }
                }
            }

            if (changed) Publish();
        }

        public Task GoneAsync()
        {
            lock (_lock) return Task.WhenAll(_replicas.Select(entry => entry.Running));
        }

        private void StartNeedsLock()
        {
            _pool = owner._catalog.Current.Find(_pool.Name) ?? _pool;
            var replica = new LocalReplica($"{_pool.Name}-{_created++}", _pool, owner._parts, Publish);
            _replicas.Add((replica, Task.Run(() => RunAsync(replica), CancellationToken.None)));
        }

        /// <summary>Never fails: the list of replicas is what there is.</summary>
        private async Task RunAsync(LocalReplica replica)
        {
            Exception? failure = null;
            try
            {
                await replica.RunAsync(owner._stop.Token);
                if (replica.Phase != ReplicaPhase.Draining && !owner._stop.IsCancellationRequested) failure = new InvalidOperationException("It ended unasked.");
            }
            catch (Exception exception)
            {
                failure = exception;
            }

            TimeSpan? pause = null;
            lock (_lock)
            {
                _replicas.RemoveAll(entry => entry.Replica == replica);
                replica.Dispose();
                _failure = failure?.Message;
                if (failure is not null) pause = PauseNeedsLock(replica);
            }

            if (failure is not null) owner._parts.Loops.Failed("replica", _pool.Name.Value, failure, pause);
            Publish();
        }

        private TimeSpan PauseNeedsLock(LocalReplica replica)
        {
            var now = owner._parts.Time.GetUtcNow();
            if (replica.ColdStart is not null && now - replica.Since > LongestPause) _backoff.Reset();
            var pause = _backoff.Next();
            _notBefore = now + pause;
            return pause;
        }

        private void Publish()
        {
            lock (_lock)
            {
                var replicas = _replicas.Select(entry => entry.Replica).ToList();
                var loading = replicas.Where(replica => replica.Phase == ReplicaPhase.Loading).ToList();
                _lastColdStart = replicas.LastOrDefault(replica => replica.ColdStart is not null)?.ColdStart?.TotalSeconds ?? _lastColdStart;
                owner._capacity.Publish(new PoolCapacity
                {
                    Pool = _pool.Name,
                    Desired = _desired,
                    Ready = replicas.Count(replica => replica.Phase == ReplicaPhase.Ready),
                    LoadingSince = [.. loading.Select(replica => replica.Since)],
                    Draining = replicas.Count(replica => replica.Phase == ReplicaPhase.Draining),
                    LoadingProgress = loading.Count > 0 ? loading.Max(replica => replica.Progress) : null,
                    LastFailure = loading.FirstOrDefault(replica => replica.Failure is not null)?.Failure ?? (loading.Count == 0 && replicas.Count < _desired ? _failure : null),
                    LastColdStartSeconds = _lastColdStart,
                });
            }
        }
    }
}
