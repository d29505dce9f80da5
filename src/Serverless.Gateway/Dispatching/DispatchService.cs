using Microsoft.Extensions.Hosting;
using Serverless.Dispatching;

namespace Serverless.Gateway.Dispatching;

/// <summary>Runs the dispatchers of the models that this gateway holds.</summary>
internal sealed class DispatchService : BackgroundService
{
    private readonly DispatcherSet _dispatchers;

    /// <summary>The metrics are asked for so that they exist from the start.</summary>
    public DispatchService(DispatcherSet dispatchers, ModelMetrics metrics)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        _dispatchers = dispatchers;
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => _dispatchers.RunAsync(stoppingToken);
}
