using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>
/// This gateway's part in dispatching. It keeps its own lease, and runs the dispatcher of each model of the catalogue whose lease it holds. Models spread over the living
/// gateways by rendezvous hashing: whoever ranks first takes a model that nobody has, the next ones a moment later each. A model without work costs none of its loops anything:
/// leases are read and renewed together, and its dispatcher sleeps until the queue names it. Thread-safe.
/// </summary>
public sealed class DispatcherSet(GatewayIdentity gateway, ICatalogSource catalog, DispatchPorts ports, Supervisor supervisor, ILoopObserver loops)
{
    /// <summary>How often it looks around: who lives, which models are free.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>A gateway that ranks higher gets a model that another dispatches once it has lived so long: a roll-out moves each model a few times, not with every pod.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(60);

    private readonly LeaseKeeper _keeper = new(ports.Leases, gateway.Address, ports.Time, loops);
    private readonly ConcurrentDictionary<ModelName, DispatchedModel> _models = new();
    private readonly Dictionary<ModelName, DateTimeOffset> _freeSince = [];
    private readonly Dictionary<string, DateTimeOffset> _livingSince = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string[] _ranked = [];
    private ModelCatalog? _whole; // whose models are those it dispatches, all and no other; null: none
    private volatile KeptLease? _own;

    /// <summary>How it stands, for readiness and figures.</summary>
    public DispatchState State => new(_own is { Lost.IsCancellationRequested: false }, _models.Count, _models.Count(model => model.Value.IsAwake));

    /// <summary>Whether the model's dispatcher is here.</summary>
    public bool Dispatches(ModelName model) => _models.TryGetValue(model, out var dispatched) && !dispatched.HasEnded;

    /// <summary>Dispatches until stopped; then gives its leases back, so that others take over at once.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var renewing = new CancellationTokenSource(); // while it stops, what it holds stays its own
        var keeping = supervisor.RunAsync("leases", _keeper.RunAsync, renewing.Token);
        await Task.WhenAll(
            supervisor.RunAsync("gateway-lease", StayAsync, stoppingToken),
            supervisor.RunAsync("dispatchers", LookAroundAsync, stoppingToken),
            supervisor.RunAsync("arrivals", WakeAsync, stoppingToken));

        await Task.WhenAll(_models.Values.Select(model => model.StopAsync("this gateway stops")));
        _models.Clear();
        if (_own is { } own) await own.DisposeAsync();
        await renewing.CancelAsync();
        await keeping;
    }

    /// <summary>Keeps this gateway's own lease, whatever comes.</summary>
    private async Task StayAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, ports.Time.Aligned());
        do
        {
            if (_own is { Lost.IsCancellationRequested: false }) continue;
            if (_own is { } lost) await lost.DisposeAsync();
            _own = null;
            await TryAsync("gateway-lease", async () => _own = (await _keeper.AcquireAsync([LeaseNames.Gateway(gateway.Instance)])).SingleOrDefault(), stoppingToken);
            _asked.TrySetResult();
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task LookAroundAsync(CancellationToken stoppingToken)
    {
        await _asked.Task.WaitAsync(stoppingToken); // without its own lease it gets none
        using var timer = new PeriodicTimer(Interval, ports.Time.Aligned());
        do
        {
            foreach (var (model, ended) in _models.Where(model => model.Value.HasEnded).ToArray()) await LeaveAsync(model, ended, "it ended");
            if (!await TryAsync("dispatchers", () => LookAsync(stoppingToken), stoppingToken)) _freeSince.Clear(); // nothing is known of anybody; what is held is watched by its own lease
            ports.Demand.Renew(ports.Time.GetUtcNow());
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <summary>Wakes dispatchers whose models the queue names.</summary>
    private async Task WakeAsync(CancellationToken stoppingToken)
    {
        await foreach (var model in ports.Queue.WatchArrivalsAsync(stoppingToken))
        {
            if (_models.TryGetValue(model, out var dispatched)) dispatched.Wake();
        }

        stoppingToken.ThrowIfCancellationRequested();
        throw new InvalidOperationException("The queue's arrivals ended unasked.");
    }

    private async Task LookAsync(CancellationToken stoppingToken)
    {
        var living = (await ports.Leases.ListAsync(LeaseNames.Gateways, stoppingToken)).Select(lease => lease.Name[LeaseNames.Gateways.Length..]).ToArray();
        var now = ports.Time.GetUtcNow();
        NoteLiving(living, now);

        var current = catalog.Current;
        if (!ReferenceEquals(current, _whole)) await FollowAsync(current); // almost never, and a thousand models are then no more than one
        await HandOverAsync(living, current, now);
        if (_whole is null) await TakeAsync([.. current.Models.Select(model => model.Name).Where(model => !_models.ContainsKey(model))], living, stoppingToken);
    }

    /// <summary>Models that the catalogue has no longer are left once they hold no work.</summary>
    private async Task FollowAsync(ModelCatalog current)
    {
        var known = 0;
        foreach (var (model, dispatched) in _models)
        {
            var isInCatalog = current.Find(model) is not null;
            if (isInCatalog) known++;
            if (!isInCatalog && !dispatched.HoldsWork) await LeaveAsync(model, dispatched, "the catalogue has it no longer");
            else dispatched.Follow(isInCatalog);
        }

        _whole = known == current.Models.Count && known == _models.Count ? current : null;
    }

    /// <summary>Gives models of the catalogue to gateways that rank before this one: not to one in its first second, only to one that has proved to stay.</summary>
    private async Task HandOverAsync(string[] living, ModelCatalog current, DateTimeOffset now)
    {
        var settled = living.Where(other => other == gateway.Instance || now - _livingSince[other] >= Settled).ToArray();
        if (settled.AsSpan().SequenceEqual(_ranked)) return;

        _ranked = settled;
        var anothers = _models.Where(model => current.Find(model.Key) is not null && Rendezvous.Rank(model.Key.Value, gateway.Instance, settled) is var rank && rank > 0 && rank < settled.Length);
        await Task.WhenAll(anothers.ToArray().Select(model => LeaveAsync(model.Key, model.Value, "another gateway ranks before this one")));
    }

    /// <summary>Takes free models: the first gateway at once; each of the next has given those before it two looks to take it.</summary>
    private async Task TakeAsync(ModelName[] missing, string[] living, CancellationToken stoppingToken)
    {
        if (missing.Length == 0) return;

        var now = ports.Time.GetUtcNow(); // what was handed over meanwhile is free from now on
        var taken = (await ports.Leases.ListAsync(LeaseNames.Dispatchers, stoppingToken)).Where(lease => lease.Holder != gateway.Address).Select(lease => lease.Name).ToHashSet(StringComparer.Ordinal); // its own are of a dispatcher that lost sight of its lease
        var wanted = new Dictionary<string, ModelName>(StringComparer.Ordinal);
        foreach (var model in missing)
        {
            if (taken.Contains(LeaseNames.Dispatcher(model)))
            {
                _freeSince.Remove(model);
                continue;
            }

            _freeSince.TryAdd(model, now);
            var rank = Rendezvous.Rank(model.Value, gateway.Instance, living);
            if (now - _freeSince[model] >= Math.Min(rank, 2) * 2 * Interval) wanted[LeaseNames.Dispatcher(model)] = model;
        }

        if (_own is not { Lost.IsCancellationRequested: false } own) return; // a dispatcher is its gateway's, and lost with it
        foreach (var lease in await _keeper.AcquireAsync(wanted.Keys, own))
        {
            if (stoppingToken.IsCancellationRequested)
            {
                await lease.DisposeAsync(); // granted while the process was told to stop
                continue;
            }

            var model = wanted[lease.Lease.Name];
            _freeSince.Remove(model);
            _models[model] = new DispatchedModel(model, lease, ports, loops);
        }
    }

    private async Task LeaveAsync(ModelName model, DispatchedModel dispatched, string reason)
    {
        _models.TryRemove(KeyValuePair.Create(model, dispatched));
        _whole = null;
        await dispatched.StopAsync(reason);
    }

    private void NoteLiving(string[] living, DateTimeOffset now)
    {
        foreach (var gone in _livingSince.Keys.Except(living).ToArray()) _livingSince.Remove(gone);
        foreach (var instance in living) _livingSince.TryAdd(instance, now);
    }

    /// <summary>One pass of a loop. False: a store did not answer, or answered with an error: the next pass asks again.</summary>
    private async Task<bool> TryAsync(string loop, Func<Task> pass, CancellationToken stoppingToken)
    {
        try
        {
            await pass();
            return true;
        }
        catch (ServingException exception) when (StoreGate.IsAway(exception))
        {
            return false;
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            loops.Failed(loop, "", exception, Interval);
            return false;
        }
    }
}

/// <summary>How a gateway's dispatching stands.</summary>
/// <param name="HoldsLease">Whether its own lease is held: without it others soon take the requests of its connections for abandoned.</param>
/// <param name="Models">Models that it dispatches.</param>
/// <param name="Awake">Those of them that have work, or had some of late.</param>
public readonly record struct DispatchState(bool HoldsLease, int Models, int Awake);

/// <summary>What dispatchers work with.</summary>
/// <param name="Queue">Brings requests.</param>
/// <param name="Log">Decides who may speak for them.</param>
/// <param name="Sessions">Bring workers.</param>
/// <param name="Leases">Say who dispatches a model and which gateways live.</param>
/// <param name="Demand">Tells the scaler.</param>
/// <param name="EndObservers">Are told of every end.</param>
/// <param name="Observer">Tells the host.</param>
/// <param name="Time">The clock.</param>
public sealed record DispatchPorts(
    IRequestQueue Queue, IRequestLog Log, IWorkerSessions Sessions, ILeases Leases, IDemandFeed Demand, IEnumerable<IEndObserver> EndObservers, IDispatchObserver Observer, TimeProvider Time);
