using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Leases;

namespace Serverless.Dispatching;

/// <summary>
/// This gateway's part in dispatching. It keeps its own lease, and runs the dispatcher of each model of the catalogue whose lease it holds. Models spread over the living
/// gateways by rendezvous hashing: whoever ranks first takes a model that nobody has, the next ones a moment later each. Thread-safe.
/// </summary>
public sealed class DispatcherSet(GatewayIdentity gateway, ICatalogSource catalog, DispatchPorts ports)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>A gateway that ranks higher gets a model that another dispatches once it has lived so long: a roll-out moves each model a few times, not with every pod.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(60);

    private readonly Dictionary<ModelName, HeldModel> _held = [];
    private readonly Dictionary<ModelName, DateTimeOffset> _freeSince = [];
    private readonly Dictionary<string, DateTimeOffset> _livingSince = new(StringComparer.Ordinal);

    /// <summary>Dispatches until stopped; then gives its leases back, so that others take over at once.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        var living = StayAsync(stoppingToken);
        try
        {
            using var timer = new PeriodicTimer(Interval, ports.Time);
            do
            {
                await TickAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
        finally
        {
            foreach (var held in _held.Values) await held.StopAsync("this gateway stops");
            await living;
        }
    }

    /// <summary>Keeps this gateway's own lease, whatever comes.</summary>
    private async Task StayAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var lease = await KeptLease.AcquireAsync(ports.Leases, LeaseNames.Gateway(gateway.Instance), gateway.Address, ports.Time, stoppingToken);
                using var gone = lease is null ? null : CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lease.Lost);
                await Task.Delay(lease is null ? Interval : Timeout.InfiniteTimeSpan, ports.Time, gone?.Token ?? stoppingToken);
            }
            catch (OperationCanceledException)
            {
            }
            catch (ServingException)
            {
                await Task.Delay(Interval, ports.Time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async ValueTask TickAsync(CancellationToken stoppingToken)
    {
        foreach (var ended in _held.Where(held => held.Value.HasEnded).ToArray())
        {
            _held.Remove(ended.Key);
            await ended.Value.DisposeAsync();
        }

        try
        {
            var now = ports.Time.GetUtcNow();
            var living = (await ports.Leases.ListAsync(LeaseNames.Gateways, stoppingToken)).Select(lease => lease.Name[LeaseNames.Gateways.Length..]).ToArray();
            NoteLiving(living, now);

            var models = catalog.Current.Models.Select(model => model.Name).ToHashSet();
            foreach (var gone in _held.Keys.Where(model => !models.Contains(model)).ToArray()) await LeaveAsync(gone, "the catalogue has it no longer");
            foreach (var model in models) await ConsiderAsync(model, living, now, stoppingToken);
        }
        catch (ServingException exception) when (LoopCalls.IsUnavailable(exception))
        {
            // Nothing is known of anybody; what is held is watched by its own lease.
            _freeSince.Clear();
        }
    }

    private async ValueTask ConsiderAsync(ModelName model, string[] living, DateTimeOffset now, CancellationToken stoppingToken)
    {
        var rank = Rendezvous.Rank(model.Value, gateway.Instance, living);
        if (_held.ContainsKey(model))
        {
            // Not from the first second of a newcomer: and only to one that has proved to stay.
            var settled = living.Where(other => other == gateway.Instance || now - _livingSince[other] >= Settled).ToArray();
            if (Rendezvous.Rank(model.Value, gateway.Instance, settled) is var better && better > 0 && better < settled.Length) await LeaveAsync(model, "another gateway ranks before this one");
            return;
        }

        if (await ports.Leases.ReadAsync(LeaseNames.Dispatcher(model), stoppingToken) is not null)
        {
            _freeSince.Remove(model);
            return;
        }

        // The first at once; each of the next has given those before it two looks to take it.
        _freeSince.TryAdd(model, now);
        if (now - _freeSince[model] < Math.Min(rank, 2) * 2 * Interval) return;

        if (await KeptLease.AcquireAsync(ports.Leases, LeaseNames.Dispatcher(model), gateway.Address, ports.Time, stoppingToken) is not { } lease) return;
        _freeSince.Remove(model);
        _held[model] = new HeldModel(model, lease, ports);
    }

    private async ValueTask LeaveAsync(ModelName model, string reason)
    {
        if (_held.Remove(model, out var held)) await held.StopAsync(reason);
    }

    private void NoteLiving(string[] living, DateTimeOffset now)
    {
        foreach (var gone in _livingSince.Keys.Except(living).ToArray()) _livingSince.Remove(gone);
        foreach (var instance in living) _livingSince.TryAdd(instance, now);
    }
}
