using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>Runs a dispatcher per model and starts one that fails again, with a higher epoch. Thread-safe.</summary>
public sealed class DispatcherSet(
    IRequestQueue queue, IRequestLog log, IWorkerSessions sessions, IDemandFeed demand, IDispatchObserver observer, TimeProvider time)
{
    private static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(1);

    /// <summary>Dispatches for these models until stopped.</summary>
    public Task RunAsync(IEnumerable<ModelName> models, CancellationToken stoppingToken)
    {
        ArgumentNullException.ThrowIfNull(models);
        return Task.WhenAll(models.Select(model => SuperviseAsync(model, stoppingToken)));
    }

    private async Task SuperviseAsync(ModelName model, CancellationToken stoppingToken)
    {
        // The lease of the embedded shape is this process; its epochs grow with time and with each restart.
        for (var epoch = time.GetUtcNow().ToUnixTimeMilliseconds(); ; epoch = Math.Max(epoch + 1, time.GetUtcNow().ToUnixTimeMilliseconds()))
        {
            try
            {
                await new Dispatcher(model, epoch, queue, log, sessions, demand, observer, time).RunAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                observer.Faulted(model, exception);
                try
                {
                    await Task.Delay(RestartDelay, time, stoppingToken);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }
}
