using System.Security.Cryptography;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Worker.Engines;
using Serverless.Worker.Sessions;

namespace Serverless.Worker.Local;

/// <summary>The one replica of a worker process. Told to stop, it drains.</summary>
internal sealed class WorkerService(
    IOptions<WorkerOptions> options, ICatalogSource catalog, EngineCatalog engines, IDispatcherConnector connector, IRequestLog log, WorkerMetrics metrics, TimeProvider time, ILoggerFactory loggers)
    : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private LocalReplica? _replica;
    private Task _running = Task.CompletedTask;

    public ReplicaPhase Phase => _replica?.Phase ?? ReplicaPhase.Loading;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var name = new PoolName(options.Value.Pool);
        var pool = catalog.Current.Find(name) ?? throw new InvalidOperationException(
            $"{WorkerOptions.Section}:{nameof(WorkerOptions.Pool)} is '{name}', which is not in the catalogue; there are: {string.Join(", ", catalog.Current.Pools.Select(known => known.Name.Value))}.");

        // Unique though a restarted container keeps its host's name: dispatchers must not take it for its predecessor.
        var replica = $"{name}-{Environment.MachineName.ToLowerInvariant()}-{RandomNumberGenerator.GetHexString(6, lowercase: true)}";
        _replica = new LocalReplica(replica, pool, engines, connector, log, metrics, time, loggers, () => { });
        _running = Task.Run(() => _replica.RunAsync(_stop.Token), CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <summary>Lets what runs end while the host allows, then gives it back.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _replica?.Drain();
        await _running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stop.CancelAsync();
        await _running;
    }

    public void Dispose()
    {
        _replica?.Dispose();
        _stop.Dispose();
    }
}
