using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// Watches the gateways whose connections promised what is tracked here. One that is gone takes its requests with it, unless their clients came back to another gateway,
/// which the log knows. Not thread-safe.
/// </summary>
internal sealed class Holders(RequestTable table, Attempts attempts, DispatchPorts ports, LoopCalls calls)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, DateTimeOffset> _absentSince = new(StringComparer.Ordinal);
    private DateTimeOffset _next;
    private bool _asking;

    public void Tick()
    {
        var now = ports.Time.GetUtcNow();
        if (_asking || now < _next || table.Holders.Count == 0) return;

        _next = now + Interval;
        _asking = true;
        string[] holders = [.. table.Holders];
        calls.Ask(
            cancellationToken => FindAbsentAsync(holders, cancellationToken),
            absent =>
            {
                _asking = false;
                Note(absent);
            },
            () =>
            {
                _asking = false;
                _absentSince.Clear(); // nothing is known of anybody
            });
    }

    private async ValueTask<IReadOnlyList<string>> FindAbsentAsync(string[] holders, CancellationToken cancellationToken)
    {
        var absent = new List<string>();
        foreach (var holder in holders)
        {
            if (await ports.Leases.ReadAsync(LeaseNames.Gateway(holder), cancellationToken) is null) absent.Add(holder);
        }

        return absent;
    }

    private void Note(IReadOnlyList<string> absent)
    {
        var now = ports.Time.GetUtcNow();
        foreach (var present in _absentSince.Keys.Except(absent).ToArray()) _absentSince.Remove(present);
        foreach (var holder in absent)
        {
            _absentSince.TryAdd(holder, now);
            if (now - _absentSince[holder] < LeaseTimes.Absence) continue;

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
            lapsed =>
            {
                if (!table.Has(request)) return;
                if (lapsed.Ended) attempts.Stop(request.Id);
                else table.Follow(request, lapsed.Holder == holder ? "" : lapsed.Holder ?? "");
            },
            () =>
            {
                if (table.Has(request)) table.Follow(request, holder);
            });
    }
}
