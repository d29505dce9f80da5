using Microsoft.Extensions.Hosting;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Leases;
using Serverless.Loops;

namespace Serverless.Gateway.Files;

/// <summary>Sweeps bytes that are no file's, once an hour, on one gateway: whoever has the lease when its hour is over.</summary>
internal sealed class FileSweeper(FileSweep sweep, ILeases leases, GatewayIdentity identity, FileMetrics metrics, Supervisor supervisor, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("file-sweep", SweepAsync, stoppingToken);

    private async Task SweepAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (await leases.AcquireAsync(LeaseNames.FileSweep, identity.Instance, Interval * 1.5, stoppingToken) is not null) metrics.Swept(await sweep.RunAsync(stoppingToken));
            }
            catch (ServingException)
            {
                // A store is away, which is told elsewhere; what is left is swept in an hour.
            }
        }
    }
}
