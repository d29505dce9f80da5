using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Feeds;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>
/// Plans while it has the lease <see cref="LeaseNames.Planner"/>: when demand changes, and for every model that is not at rest once a second. Of all scalers one does; when it is gone another goes on from the plan and
/// memory last written, within the lease's time. One that was only paused writes nothing any more: its epoch is old.
/// </summary>
/// <remarks>
/// The lease and the work stand and fall together: planning that fails, whatever it throws, or that writes nothing for the lease's time gives the lease back, and a lease that is lost ends the planning.
/// </remarks>
public sealed class LeasedPlanner(ICatalogSource catalog, BelievedDemand demand, ILeases leases, PlanWriter writer, Supervisor supervisor, string instance, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly PendingChanges<ModelName, bool> _due = new();
    private readonly LeaseKeeper _keeper = new(leases, instance, time, supervisor.Observer);
    private Task _givingBack = Task.CompletedTask;

    /// <summary>Whether this one plans now.</summary>
    public bool Leads { get; private set; }

    /// <summary>Plans until stopped, whenever the lease can be had, and gives back whatever it may have got. Never throws.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        await Task.WhenAll(
            supervisor.RunAsync("planner-lease", _keeper.RunAsync, stoppingToken),
            supervisor.RunAsync("planner", PlanAsync, stoppingToken),
            supervisor.RunAsync("planner-demand", WatchAsync, stoppingToken));
        await _givingBack;
    }

    private async Task PlanAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        do
        {
            if (await AcquireAsync(stoppingToken) is not { } lease) continue;

            await using (lease)
            {
                await LeadAsync(lease, timer, stoppingToken);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task LeadAsync(KeptLease lease, PeriodicTimer timer, CancellationToken stoppingToken)
    {
        using var leading = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lease.Lost);
        try
        {
            if (!await TryAsync(async token => { await writer.ResumeAsync(token); return true; }, leading.Token)) return;

            Leads = true;
            var parts = new[] { TickAsync(timer, leading.Token), WriteAsync(lease.Lease.Epoch, leading.Token) };
            await Task.WhenAny(parts);
            await leading.CancelAsync();
            await Task.WhenAll(parts);
        }
        catch (OperationCanceledException) when (leading.IsCancellationRequested)
        {
        }
        finally
        {
            Leads = false;
        }
    }

    /// <summary>Once a second every model that is awake is due.</summary>
    private async Task TickAsync(PeriodicTimer timer, CancellationToken cancellationToken)
    {
        do _due.Put(default, true);
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    /// <summary>Ends when a later planner has written.</summary>
    /// <exception cref="TimeoutException">Nothing could be written for the lease's time: another may be able to, and this one rests before it tries again.</exception>
    private async Task WriteAsync(long epoch, CancellationToken cancellationToken)
    {
        var writtenAt = time.GetTimestamp();
        await foreach (var due in _due.TakeAllAsync(cancellationToken))
        {
            var current = catalog.Current;
            IEnumerable<Model>? models = [.. due.Keys.Where(name => name != default).Select(current.Find).OfType<Model>()];
            if (due.ContainsKey(default))
            {
                // Whose demand changed while the round was due is no less due with it.
                writer.Wake(models);
                models = null;
            }

            var written = await TryAsync(async token => (bool?)await writer.WriteAsync(epoch, current, models, token), cancellationToken);
            if (written is true) writtenAt = time.GetTimestamp();
            else if (written is false) return;
            else if (time.GetElapsedTime(writtenAt) >= LeaseTimes.TimeToLive) throw new TimeoutException($"No plan could be written for {LeaseTimes.TimeToLive.TotalSeconds:F0} s; the planner's lease is given back.");
        }
    }

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        await foreach (var demands in demand.WatchAllAsync(stoppingToken))
        {
            if (!Leads) continue;
            foreach (var changed in demands) _due.Put(changed.Model, true);
        }

        throw new InvalidOperationException("The feed of demand ended.");
    }

    private async Task<KeptLease?> AcquireAsync(CancellationToken stoppingToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stoppingToken);
        var acquiring = _keeper.AcquireAsync([LeaseNames.Planner]).AsTask();
        try
        {
            return (await acquiring.WaitAsync(either.Token)).SingleOrDefault();
        }
        catch (ServingException)
        {
            return null;
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            // A store that answers after all must not leave a lease that is kept for nobody.
            _givingBack = Task.WhenAll(_givingBack, GiveBackAsync(acquiring));
            stoppingToken.ThrowIfCancellationRequested();
            return null;
        }
    }

    private static async Task GiveBackAsync(Task<IReadOnlyList<KeptLease>> acquiring)
    {
        await ((Task)acquiring).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!acquiring.IsCompletedSuccessfully) return;
        foreach (var late in await acquiring) await late.DisposeAsync();
    }

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
