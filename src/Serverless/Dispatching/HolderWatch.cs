using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// Watches the gateways whose connections promised what is tracked here. One that is gone takes its requests with it, unless their clients came back to another gateway,
/// which the log knows. Not thread-safe.
/// </summary>
internal sealed class HolderWatch(RequestTable table, AttemptTracker attempts, DispatchPorts ports, LoopCalls calls)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, long> _absentSince = new(StringComparer.Ordinal);
    private long? _askedAt;
    private bool _asking;

    public void Tick()
    {
        if (_asking || table.Holders.Count == 0 || (_askedAt is { } asked && ports.Time.GetElapsedTime(asked) < Interval)) return;

        _askedAt = ports.Time.GetTimestamp();
        _asking = true;
        string[] holders = [.. table.Holders];
        calls.Ask(
            cancellationToken => FindAbsentAsync(holders, cancellationToken),
            absent => new DispatchInput.Sought(absent),
            new DispatchInput.Sought(null));
    }

    /// <summary>The store of leases has answered.</summary>
    public void GoOn(DispatchInput.Sought sought)
    {
        _asking = false;
        if (sought.Absent is { } absent) Note(absent);
        else _absentSince.Clear(); // nothing is known of anybody
    }

    /// <summary>The log has answered to a lapse.</summary>
    public void GoOn(DispatchInput.Lapsed lapsed)
    {
        var (request, holder) = (lapsed.Request, lapsed.Holder);
        if (!table.Has(request)) return;

        if (lapsed.Result is not { } result) table.Follow(request, holder);
        else if (result.Ended) attempts.Stop(request.Id);
        else table.Follow(request, result.Holder == holder ? "" : result.Holder ?? "");
    }

    /// <summary>All in one go, however many hold something.</summary>
    private async ValueTask<IReadOnlyCollection<string>> FindAbsentAsync(string[] holders, CancellationToken cancellationToken)
    {
        var living = (await ports.Leases.ListAsync(LeaseNames.Gateways, cancellationToken)).Select(lease => lease.Name[LeaseNames.Gateways.Length..]);
        return holders.Except(living, StringComparer.Ordinal).ToArray();
    }

    private void Note(IReadOnlyCollection<string> absent)
    {
        var now = ports.Time.GetTimestamp();
        foreach (var present in _absentSince.Keys.Except(absent).ToArray()) _absentSince.Remove(present);
        foreach (var holder in absent)
        {
            _absentSince.TryAdd(holder, now);
            if (ports.Time.GetElapsedTime(_absentSince[holder], now) < LeaseTimes.Absence) continue;

            var held = table.HeldBy(holder);
            ports.Observer.HolderGone(holder, held.Count);
            foreach (var request in held) Lapse(request, holder);
        }
    }

    private void Lapse(TrackedRequest request, string holder)
    {
        table.Follow(request, ""); // it is asked for once
        calls.Ask(
            cancellationToken => ports.Log.LapseAsync(request.Id, holder, new RequestEvent.Cancelled($"Gateway '{holder}', which held it, is gone."), cancellationToken),
            lapsed => new DispatchInput.Lapsed(request, holder, lapsed),
            new DispatchInput.Lapsed(request, holder, null));
    }
}
