using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Distributed;

/// <summary>Tells the other processes what was decided, once a second where there is something new.</summary>
internal sealed class DecisionPublisher(ScalePlans plans, RedisScaleJournal journal, ICatalogSource catalog, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var told = new Dictionary<PoolName, ScaleDecision>();
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                foreach (var pool in catalog.Current.Pools)
                {
                    if (plans.Latest(pool.Name) is not { } latest || ReferenceEquals(told.GetValueOrDefault(pool.Name), latest)) continue;

                    told[pool.Name] = latest;
                    journal.Publish(pool.Name, plans.History(pool.Name));
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }
}
