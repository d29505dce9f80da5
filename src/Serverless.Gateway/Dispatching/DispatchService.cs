using Microsoft.Extensions.Hosting;
using Serverless.Dispatching;

namespace Serverless.Gateway.Dispatching;

/// <summary>Runs the dispatchers of the models that this gateway holds.</summary>
internal sealed class DispatchService(DispatcherSet dispatchers) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => dispatchers.RunAsync(stoppingToken);
}
