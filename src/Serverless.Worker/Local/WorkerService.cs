using System.Security.Cryptography;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Loops;

namespace Serverless.Worker.Local;

/// <summary>The one replica of a worker process. Told to stop, it drains. If it ends unasked, so does the process: a worker that serves nothing must not hold its accelerator.</summary>
internal sealed class WorkerService(IOptions<WorkerOptions> options, ICatalogSource catalog, ReplicaParts parts, Supervisor supervisor) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _stop = new();
    private LocalReplica? _replica;
    private Task? _running;

    /// <summary>How far it is; one that has ended is leaving.</summary>
    public ReplicaPhase Phase => _running is { IsCompleted: true } ? ReplicaPhase.Draining : _replica?.Phase ?? ReplicaPhase.Loading;

    /// <summary>Whether it takes work.</summary>
    public bool IsReady => Phase == ReplicaPhase.Ready;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var name = new PoolName(options.Value.Pool);
        var pool = catalog.Current.Find(name) ?? throw new InvalidOperationException(
            $"{WorkerOptions.Section}:{nameof(WorkerOptions.Pool)} is '{name}', which is not in the catalogue; there are: {string.Join(", ", catalog.Current.Pools.Select(known => known.Name.Value))}.");

        // Unique though a restarted container keeps its host's name: dispatchers must not take it for its predecessor.
        var replica = $"{name}-{Environment.MachineName.ToLowerInvariant()}-{RandomNumberGenerator.GetHexString(6, lowercase: true)}";
        _replica = new LocalReplica(replica, pool, parts, () => { });
        _running = Task.Run(() => supervisor.RunOnceAsync("replica", _ => _replica.RunAsync(_stop.Token), _leaving.Token, replica), CancellationToken.None);
        return Task.CompletedTask;
    }

    /// <summary>Lets what runs end while the host allows, then gives it back.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_running is null) return;

        await _leaving.CancelAsync();
        _replica?.Drain();
        await _running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stop.CancelAsync();
        await _running;
    }

    public void Dispose()
    {
        _replica?.Dispose();
        _leaving.Dispose();
        _stop.Dispose();
    }
}
