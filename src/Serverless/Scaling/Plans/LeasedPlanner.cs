using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Feeds;
using Serverless.Leases;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>
/// Plans while it has the lease <see cref="LeaseNames.Planner"/>: when demand changes, and for every model once a second. Of all scalers one does; when it is gone another goes on from the plan and
/// memory last written, within the lease's time. One that was only paused writes nothing any more: its epoch is old.
/// </summary>
public sealed class LeasedPlanner(ICatalogSource catalog, BelievedDemand demand, ILeases leases, PlanWriter writer, string instance, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly PendingChanges<ModelName, bool> _due = new();

    /// <summary>Whether this one plans now.</summary>
    public bool Leads { get; private set; }

    /// <summary>Plans until stopped, whenever the lease can be had.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        var watching = WatchAsync(stoppingToken);
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                if (await TryAsync(token => leases.AcquireAsync(LeaseNames.Planner, instance, TimeToLive, token), stoppingToken) is { } lease) await LeadAsync(lease, timer, stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }

        await watching;
    }

    private async Task LeadAsync(Lease lease, PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            if (!await TryAsync(async token => { await writer.ResumeAsync(token); return true; }, stoppingToken)) return;

            Leads = true;
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            var changes = PlanChangesAsync(lease, ended);
            try
            {
                await KeepAsync(lease, timer, ended.Token);
            }
            finally
            {
                await ended.CancelAsync();
                await changes;
            }
        }
        catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
        {
        }
        finally
        {
            Leads = false;
            await GiveBackAsync(lease);
        }
    }

    /// <summary>Once a second every model is due; every other second the lease is renewed.</summary>
    private async Task KeepAsync(Lease lease, PeriodicTimer timer, CancellationToken cancellationToken)
    {
        var renewedAt = time.GetTimestamp();
        for (var second = 0; ; second++)
        {
            _due.Put(default, true);
            await timer.WaitForNextTickAsync(cancellationToken);
            if (second % 2 == 0) continue;

            var asked = time.GetTimestamp();
            if (await TryAsync(async token => (bool?)await leases.RenewAsync(lease, TimeToLive, token), cancellationToken) is { } renewed)
            {
                if (!renewed) return;
                renewedAt = asked;
            }
            else if (time.GetElapsedTime(renewedAt) >= TimeToLive)
            {
                return;
            }
        }
    }

    private async Task PlanChangesAsync(Lease lease, CancellationTokenSource ended)
    {
        try
        {
            await foreach (var due in _due.TakeAllAsync(ended.Token))
            {
                var current = catalog.Current;
                var models = due.ContainsKey(default) ? null : due.Keys.Select(current.Find).OfType<Model>();
                if (await TryAsync(async token => (bool?)await writer.WriteAsync(lease.Epoch, current, models, token), ended.Token) == false) break;
            }

            await ended.CancelAsync();
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
        }
    }

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var demands in demand.WatchAllAsync(stoppingToken))
            {
                if (!Leads) continue;
                foreach (var changed in demands) _due.Put(changed.Model, true);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task GiveBackAsync(Lease lease) =>
        await TryAsync(async token => { await leases.ReleaseAsync(lease, token); return true; }, CancellationToken.None);

    /// <summary>One call to a store, bounded in time; the default when it cannot be reached.</summary>
    private async Task<T?> TryAsync<T>(Func<CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call(either.Token).AsTask().WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return default;
        }
        catch (ServingException)
        {
            return default;
        }
    }
}
