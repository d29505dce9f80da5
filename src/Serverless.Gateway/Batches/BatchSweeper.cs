using Microsoft.Extensions.Hosting;
using Serverless.Batches;
using Serverless.Files;
using Serverless.Leases;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>
/// Deletes what batches left in the store of files: pieces and segments of gateways that died, or were taken over in the midst of a commit. Once an hour, on one gateway: whoever has the lease when
/// its hour is over. What is younger than <see cref="Grace"/>, or of a batch that is not at its end, stays.
/// </summary>
internal sealed class BatchSweeper(IFileStore store, BatchDirectory batches, HourlyTurn hourly, GatewayIdentity identity, BatchMetrics metrics, Supervisor supervisor, TimeProvider time) : BackgroundService
{
    /// <summary>Longer than anything takes between its write and the document that names it.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromDays(1);

    private const int PageSize = 500;

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        supervisor.RunAsync("batch-sweep", stop => hourly.RunAsync(LeaseNames.BatchSweep, identity.Instance, async token => metrics.Swept(await SweepOnceAsync(token)), stop), stoppingToken);

    private async Task<int> SweepOnceAsync(CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - Grace;
        var isOpen = new Dictionary<string, bool>(StringComparer.Ordinal);
        var deleted = 0;
        string? after = null;
        while (await store.ListAsync(BatchStore.Room, after, PageSize, cancellationToken) is { Count: > 0 } page)
        {
            foreach (var key in page.Where(entry => entry.WrittenAt < before).Select(entry => entry.Key))
            {
                if (BatchStore.BatchOf(key.Name) is not { } batch) continue; // none of ours
                if (!isOpen.TryGetValue(batch, out var open)) isOpen[batch] = open = await batches.IsOpenAsync(batch, cancellationToken);
                if (open) continue;

                await store.DeleteAsync(key, cancellationToken);
                deleted++;
            }

            after = page[^1].Key.Name;
        }

        return deleted;
    }
}
