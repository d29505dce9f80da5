using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Loops;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Distributed;

/// <summary>Tells the other processes what was decided, once a second where there is something new.</summary>
internal sealed class DecisionPublisher(ScalePlans plans, RedisScaleJournal journal, ICatalogSource catalog, Supervisor supervisor, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<PoolName, ScaleDecision> _told = [];

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("decisions", PublishAsync, stoppingToken);

    private async Task PublishAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        (ModelCatalog? Catalog, long Changes) told = default;
        do
        {
            var now = (catalog.Current, plans.Changes);
            if (now == told) continue; // nothing to look for among a thousand pools

            told = now;
            foreach (var pool in now.Current.Pools)
            {
                if (plans.Newest(pool.Name) is not { } latest || ReferenceEquals(_told.GetValueOrDefault(pool.Name), latest)) continue;

                journal.Publish(pool.Name, plans.History(pool.Name));
                _told[pool.Name] = latest;
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
