using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Dispatching;

namespace Serverless.Gateway.Dispatching;

/// <summary>Runs the dispatchers of the models that this gateway holds.</summary>
internal sealed class DispatchService(DispatcherSet dispatchers, ICatalogSource catalog) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => dispatchers.RunAsync(catalog.Current.Models.Select(model => model.Name), stoppingToken);
}
