using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Loops;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Serverless.Worker.Local;

/// <summary>
/// The replicas of this process: what a Deployment and its pods are in a cluster. Each second there are made as many as were last asked for: one that ended unasked, whatever
/// ended it, is begun again after a pause that grows, and one that is not what the catalogue says any more is replaced. Scaling down drains the newest. Thread-safe.
/// </summary>
internal sealed partial class LocalReplicas(ICatalogSource catalog, ReplicaParts parts, ICapacityFeed capacity, Supervisor supervisor) : IScaleTarget, IHostedService, IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly ICatalogSource _catalog = catalog;
    private readonly ReplicaParts _parts = parts;
    private readonly ICapacityFeed _capacity = capacity;
    private readonly ILogger<LocalReplicas> _logger = parts.Loggers.CreateLogger<LocalReplicas>();
    private readonly ConcurrentDictionary<PoolName, PoolReplicas> _pools = new();
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _reconciling = Task.CompletedTask;

    public ValueTask ScaleAsync(PoolName pool, int replicas, CancellationToken cancellationToken)
    {
        if (_catalog.Current.Find(pool) is { } known) _pools.GetOrAdd(pool, _ => new PoolReplicas(known, this)).Scale(replicas);
        else if (_pools.TryGetValue(pool, out var gone)) gone.Scale(0); // the catalogue has it no longer
        else if (replicas > 0) throw new ArgumentException($"Pool '{pool}' is not in the catalogue.", nameof(pool));
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
        using var timer = new PeriodicTimer(Interval, _parts.Time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var (name, pool) in _pools)
            {
                if (_catalog.Current.Find(name) is null) pool.Scale(0);
                else pool.Reconcile();
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Replica {Replica} of pool {Pool} is replaced: the manifests say another thing now. It drains.")]
    private partial void Replaced(string replica, PoolName pool);

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

        /// <summary>
        /// Drains those too many, and begins those missing; not before the pause after one that failed. Replicas that are not what the catalogue says any more are replaced one after
        /// the other: a new one is begun, and once it is ready an old one drains. While no new one gets ready the old ones serve on.
        /// </summary>
        public void Reconcile()
        {
            var changed = false;
            lock (_lock)
            {
                _pool = owner._catalog.Current.Find(_pool.Name) ?? _pool;
                var live = _replicas.Select(entry => entry.Replica).Where(replica => replica.Phase != ReplicaPhase.Draining).ToList();
                var fresh = live.Where(replica => _pool.RunsAs(replica.Pool)).ToList();
                var old = live.Except(fresh).ToList();
                foreach (var useless in old.Where(replica => replica.Phase == ReplicaPhase.Loading)) DrainNeedsLock(useless);
                old.RemoveAll(replica => replica.Phase == ReplicaPhase.Draining);

                var ready = fresh.Count(replica => replica.Phase == ReplicaPhase.Ready);
                foreach (var replaced in old.Take(old.Count + ready - _desired).ToArray())
                {
                    DrainNeedsLock(replaced);
                    old.Remove(replaced);
                    if (ready > 0) owner.Replaced(replaced.Name, _pool.Name);
                }

                var wanted = Math.Min(_desired, _desired - old.Count + 1); // one more than are wanted, while it loads
                foreach (var newest in fresh.Skip(wanted)) DrainNeedsLock(newest);
                if (owner._parts.Time.GetUtcNow() >= _notBefore)
                {
                    for (var missing = wanted - fresh.Count; missing > 0; missing--)
                    {
                        StartNeedsLock();
                        changed = true;
                    }
                }
            }

            if (changed) Publish();

            void DrainNeedsLock(LocalReplica replica)
            {
                replica.Drain();
                changed = true;
            }
        }

        public Task GoneAsync()
        {
            lock (_lock) return Task.WhenAll(_replicas.Select(entry => entry.Running));
        }

        private void StartNeedsLock()
        {
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
                    LoadingProgress = loading.OrderBy(replica => replica.IsPulling).ThenByDescending(replica => replica.Progress).FirstOrDefault()?.Progress,
                    Pulling = loading.Count > 0 && loading.All(replica => replica.IsPulling),
                    LastFailure = loading.FirstOrDefault(replica => replica.Failure is not null)?.Failure ?? (loading.Count == 0 && replicas.Count < _desired ? _failure : null),
                    LastColdStartSeconds = _lastColdStart,
                });
            }
        }
    }
}
