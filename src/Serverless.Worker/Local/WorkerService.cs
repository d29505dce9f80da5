using System.Security.Cryptography;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Loops;

namespace Serverless.Worker.Local;

/// <summary>The one replica of a worker process. Told to stop, it drains. If it ends unasked, so does the process: a worker that serves nothing must not hold its accelerator.</summary>
internal sealed partial class WorkerService(IOptions<WorkerOptions> options, ICatalogSource catalog, ReplicaParts parts, Supervisor supervisor) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _leaving = new();
    private readonly CancellationTokenSource _stop = new();
    private LocalReplica? _replica;
    private readonly ILogger<WorkerService> _logger = parts.Loggers.CreateLogger<WorkerService>();
    private Task? _running;
    private Task _following = Task.CompletedTask;
    private volatile bool _isGone;

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
        _running = Task.Run(() => supervisor.RunOnceAsync("replica", _ => ServeAsync(_replica), _leaving.Token, replica), CancellationToken.None);
        _following = supervisor.RunAsync("worker-pool", token => FollowAsync(_replica, token), _leaving.Token, name.Value);
        return Task.CompletedTask;
    }

    /// <summary>Lets what runs end while the host allows, then gives it back.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_running is null) return;

        await _leaving.CancelAsync();
        await _following;
        _replica?.Drain();
        await _running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _stop.CancelAsync();
        await _running;
    }

    /// <exception cref="InvalidOperationException">It ended because the catalogue has its pool no longer.</exception>
    private async Task ServeAsync(LocalReplica replica)
    {
        await replica.RunAsync(_stop.Token);
        if (_isGone) throw new InvalidOperationException($"Pool '{replica.Pool.Name}' is in the catalogue no longer. What ran has ended, so this worker ends.");
    }

    /// <summary>
    /// Follows what the catalogue says of the pool. One that changed is served on as it was loaded, and said so: workers know nothing of each other, and if each ended by itself all
    /// would load at the same time; whoever runs them replaces them one after the other. One that is gone is drained, and the process ends.
    /// </summary>
    private async Task FollowAsync(LocalReplica replica, CancellationToken stoppingToken)
    {
        var told = replica.Pool;
        await foreach (var current in catalog.WatchAsync(stoppingToken))
        {
            if (current.Find(replica.Pool.Name) is not { } pool)
            {
                Gone(replica.Pool.Name);
                _isGone = true;
                replica.Drain();
                return;
            }

            if (pool.RunsAs(told)) continue;

            told = pool;
            if (pool.RunsAs(replica.Pool)) AsBefore(pool.Name);
            else Changed(pool.Name);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Pool {Pool} changed in the catalogue. This worker goes on with what it loaded; restart it to take the change, one worker after the other.")]
    private partial void Changed(PoolName pool);

    [LoggerMessage(Level = LogLevel.Information, Message = "Pool {Pool} is again in the catalogue what this worker has loaded.")]
    private partial void AsBefore(PoolName pool);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Pool {Pool} is in the catalogue no longer. This worker finishes what runs and ends.")]
    private partial void Gone(PoolName pool);

    public void Dispose()
    {
        _replica?.Dispose();
        _leaving.Dispose();
        _stop.Dispose();
    }
}
