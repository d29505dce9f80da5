using System.Collections.Concurrent;
using Serverless.Errors;
using Serverless.Loops;

namespace Serverless.Leases;

/// <summary>
/// Renews all leases of one process together, whatever their number. It and the work that a lease stands for hang on each other: work that ends gives its lease back, and where
/// this loop, its store or its process fails, the lease is lost here no later than at the store, and the work with it. Thread-safe.
/// </summary>
internal sealed class LeaseKeeper(ILeases leases, string holder, TimeProvider time, ILoopObserver observer)
{
    private const string Loop = "leases";

    private readonly ConcurrentDictionary<string, KeptLease> _kept = new(StringComparer.Ordinal);
    private long _renewedUnder = time.GetTimestamp();
    private bool _mayHaveForgotten;

    /// <summary>
    /// Takes those of the leases that nobody else has. Not to be cancelled: what a store was asked for it may give all the same, and whoever asked must hear of it or nobody gives it back. The store answers
    /// in bounded time.
    /// </summary>
    /// <param name="names">Which.</param>
    /// <param name="under">One of its own with which they are lost; null: each stands alone, and is renewed for itself.</param>
    public async ValueTask<IReadOnlyList<KeptLease>> AcquireAsync(IReadOnlyCollection<string> names, KeptLease? under = null)
    {
        if (names.Count == 0) return [];

        var sent = time.GetTimestamp(); // the time counts from before the call
        var lasting = under is null ? LeaseTimes.TimeToLive : LeaseTimes.TimeToLiveUnder;
        var got = await leases.AcquireAsync(names, holder, lasting, under?.Lease, CancellationToken.None);
        return [.. got.Select(lease => _kept[lease.Name] = new KeptLease(this, lease, Left(lasting, sent), under, time))];
    }

    /// <summary>Renews until cancelled. A store that answers with an error, whichever, says nothing of any lease: their time runs on, and it is asked again.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LeaseTimes.Renewal, time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await RenewAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                _mayHaveForgotten = true;
                observer.Failed(Loop, "", exception, LeaseTimes.Renewal);
            }
        }
    }

    /// <summary>Gives it back at once; one that cannot be given back runs out by itself. Never throws.</summary>
    internal async ValueTask ReleaseAsync(KeptLease kept)
    {
        _kept.TryRemove(KeyValuePair.Create(kept.Lease.Name, kept));
        if (kept.Lost.IsCancellationRequested) return;

        try
        {
            await leases.ReleaseAsync(kept.Lease, CancellationToken.None);
        }
        catch (ServingException)
        {
            // Its store is away.
        }
        catch (Exception exception)
        {
            observer.Failed(Loop, kept.Lease.Name, exception, LeaseTimes.TimeToLive);
        }
    }

    /// <summary>Those that stand alone each time; those under another now and then, and at once after the store was away: one that is back may have forgotten what it said last.</summary>
    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        await RenewAsync(under: false, LeaseTimes.TimeToLive, cancellationToken);
        if (!_mayHaveForgotten && time.GetElapsedTime(_renewedUnder) < LeaseTimes.RenewalUnder) return;

        await RenewAsync(under: true, LeaseTimes.TimeToLiveUnder, cancellationToken);
        (_renewedUnder, _mayHaveForgotten) = (time.GetTimestamp(), false);
    }

    private async Task RenewAsync(bool under, TimeSpan lasting, CancellationToken cancellationToken)
    {
        var kept = _kept.Values.Where(lease => lease.IsUnder == under && !lease.Lost.IsCancellationRequested).ToArray();
        if (kept.Length == 0) return;

        var sent = time.GetTimestamp();
        var held = await leases.RenewAsync(Array.ConvertAll(kept, lease => lease.Lease), lasting, cancellationToken);
        var stillHeld = held.ToHashSet();
        foreach (var lease in kept)
        {
            if (stillHeld.Contains(lease.Lease)) lease.Extend(Left(lasting, sent));
            else lease.Lose();
        }
    }

    private TimeSpan Left(TimeSpan lasting, long sent)
    {
        var left = lasting - time.GetElapsedTime(sent);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
