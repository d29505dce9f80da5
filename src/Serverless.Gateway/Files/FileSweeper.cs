using Microsoft.Extensions.Hosting;
using Serverless.Files;
using Serverless.Leases;
using Serverless.Loops;

namespace Serverless.Gateway.Files;

/// <summary>Sweeps bytes that are no file's, once an hour, on one gateway: whoever has the lease when its hour is over.</summary>
internal sealed class FileSweeper(FileSweep sweep, HourlyTurn hourly, GatewayIdentity identity, FileMetrics metrics, Supervisor supervisor) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        supervisor.RunAsync("file-sweep", stop => hourly.RunAsync(LeaseNames.FileSweep, identity.Instance, async token => metrics.Swept(await sweep.RunAsync(token)), stop), stoppingToken);
}
