using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Loops;
using Serverless.Scaler.Keda;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Embedded;

/// <summary>KEDA's part on one machine: it calls the very service that KEDA calls in a cluster, for every pool that the catalogue has now.</summary>
internal sealed partial class LocalScaler(
    ICatalogSource catalog, ExternalScalerService scaler, IScaleTarget target, LocalScalerOptions options, Supervisor supervisor, TimeProvider time, ILogger<LocalScaler> logger) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("local-scaler", FollowAsync, stoppingToken);

    /// <summary>Looks at the catalogue at every sync: pools come, change their bounds, and go.</summary>
    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        Dictionary<PoolName, RunningPool> running = [];
        using var timer = new PeriodicTimer(options.SyncPeriod, time.Aligned());
        try
        {
            ModelCatalog? seen = null;
            do
            {
                var current = catalog.Current;
                if (ReferenceEquals(current, seen)) continue;

                seen = current;
                foreach (var (name, gone) in running.Where(entry => current.Find(entry.Key) is null).ToArray())
                {
                    running.Remove(name);
                    await gone.StopAsync();
                    await EndAsync(name, gone.Scaled, stoppingToken);
                    gone.Scaled.Dispose();
                }

                foreach (var pool in current.Pools)
                {
                    if (running.TryGetValue(pool.Name, out var known)) known.Scaled.Pool = pool;
                    else running[pool.Name] = Start(pool, stoppingToken);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        finally
        {
            foreach (var pool in running.Values)
            {
                await pool.StopAsync();
                pool.Scaled.Dispose();
            }
        }
    }

    private RunningPool Start(Pool pool, CancellationToken stoppingToken)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var scaled = new ScaledPool(pool, scaler, target, options, time);
        return new RunningPool(scaled, stop, Task.WhenAll(ListenAsync(pool.Name, scaled, stop.Token), SyncAsync(pool.Name, scaled, stop.Token)));
    }

    private async Task EndAsync(PoolName name, ScaledPool pool, CancellationToken stoppingToken)
    {
        try
        {
            await pool.EndAsync(stoppingToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            CallFailed(name, exception.Message);
        }
    }

    private async Task ListenAsync(PoolName name, ScaledPool pool, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await pool.ListenAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                CallFailed(name, exception.Message);
            }

            await Task.Delay(options.SyncPeriod, time, stoppingToken);
        }
    }

    private async Task SyncAsync(PoolName name, ScaledPool pool, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.SyncPeriod, time.Aligned());
        do
        {
            try
            {
                await pool.SyncAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                CallFailed(name, exception.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The scaler did not answer for pool {Pool}: {Reason}. Its replicas stay as they are.")]
    private partial void CallFailed(PoolName pool, string reason);

    private sealed record RunningPool(ScaledPool Scaled, CancellationTokenSource Stop, Task Running)
    {
        public async Task StopAsync()
        {
            await Stop.CancelAsync();
            await Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Stop.Dispose();
        }
    }
}
