using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Scaler.Keda;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Embedded;

/// <summary>KEDA's part on one machine: it calls the very service that KEDA calls in a cluster, for every pool of the catalogue.</summary>
internal sealed partial class LocalScaler(
    ICatalogSource catalog, ExternalScalerService scaler, IScaleTarget target, LocalScalerOptions options, TimeProvider time, ILogger<LocalScaler> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pools = catalog.Current.Pools.Select(pool => (pool.Name, Scaled: new ScaledPool(pool, scaler, target, options, time))).ToArray();
        try
        {
            await Task.WhenAll(pools.Select(pool => Task.WhenAll(ListenAsync(pool.Name, pool.Scaled, stoppingToken), SyncAsync(pool.Name, pool.Scaled, stoppingToken))));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
        finally
        {
            foreach (var pool in pools) pool.Scaled.Dispose();
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
        using var timer = new PeriodicTimer(options.SyncPeriod, time);
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
}
