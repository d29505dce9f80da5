using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;
using Serverless.Sessions;
using Serverless.Worker.Engines;
using Serverless.Worker.Sessions;

namespace Serverless.Worker.Local;

/// <summary>The replicas of this process: what a Deployment and its pods are in a cluster. Scaling down drains the newest. Thread-safe.</summary>
internal sealed class LocalReplicas(
    ICatalogSource catalog, EngineCatalog engines, IDispatcherConnector connector, IRequestLog log, ICapacityFeed capacity, WorkerMetrics metrics, TimeProvider time, ILoggerFactory loggers)
    : IScaleTarget, IHostedService, IDisposable
{
    private readonly EngineCatalog _engines = engines;
    private readonly IDispatcherConnector _connector = connector;
    private readonly IRequestLog _log = log;
    private readonly ICapacityFeed _capacity = capacity;
    private readonly WorkerMetrics _metrics = metrics;
    private readonly TimeProvider _time = time;
    private readonly ILoggerFactory _loggers = loggers;
    private readonly ConcurrentDictionary<PoolName, PoolReplicas> _pools = new();
    private readonly CancellationTokenSource _stop = new();

    public ValueTask ScaleAsync(PoolName pool, int replicas, CancellationToken cancellationToken)
    {
        var known = catalog.Current.Find(pool) ?? throw new ArgumentException($"Pool '{pool}' is not in the catalogue.", nameof(pool));
        _pools.GetOrAdd(pool, _ => new PoolReplicas(known, this)).Scale(replicas);
        return ValueTask.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Lets what runs end while the host allows, then stops it.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var pool in _pools.Values) pool.Scale(0);
        var gone = Task.WhenAll(_pools.Values.Select(pool => pool.GoneAsync()));
        await gone.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stop.CancelAsync();
        await gone;
    }

    public void Dispose() => _stop.Dispose();

    private sealed class PoolReplicas(Pool pool, LocalReplicas owner)
    {
        private readonly Lock _lock = new();
        private readonly List<(LocalReplica Replica, Task Running)> _replicas = [];
        private int _desired;
        private int _created;
        private double? _lastColdStart;

        public void Scale(int replicas)
        {
            lock (_lock)
            {
                _desired = replicas;
                var live = _replicas.Where(entry => entry.Replica.Phase != ReplicaPhase.Draining).ToList();
                foreach (var (newest, _) in live.Skip(replicas)) newest.Drain();
                for (var missing = replicas - live.Count; missing > 0; missing--) StartNeedsLock();
            }

            Publish();
        }

        public Task GoneAsync()
        {
            lock (_lock) return Task.WhenAll(_replicas.Select(entry => entry.Running));
        }

        private void StartNeedsLock()
        {
            var name = $"{pool.Name}-{_created++}";
            var replica = new LocalReplica(name, pool, owner._engines, owner._connector, owner._log, owner._metrics, owner._time, owner._loggers, Publish);
            _replicas.Add((replica, Task.Run(() => RunAsync(replica), CancellationToken.None)));
        }

        private async Task RunAsync(LocalReplica replica)
        {
            try
            {
                await replica.RunAsync(owner._stop.Token);
            }
            finally
            {
                lock (_lock)
                {
                    _replicas.RemoveAll(entry => entry.Replica == replica);
                    replica.Dispose();
                }

                Publish();
            }
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
                    Pool = pool.Name,
                    Desired = _desired,
                    Ready = replicas.Count(replica => replica.Phase == ReplicaPhase.Ready),
                    LoadingSince = [.. loading.Select(replica => replica.Since)],
                    Draining = replicas.Count(replica => replica.Phase == ReplicaPhase.Draining),
                    LoadingProgress = loading.Count > 0 ? loading.Max(replica => replica.Progress) : null,
                    LastFailure = loading.FirstOrDefault(replica => replica.Failure is not null)?.Failure,
                    LastColdStartSeconds = _lastColdStart,
                });
            }
        }
    }
}
