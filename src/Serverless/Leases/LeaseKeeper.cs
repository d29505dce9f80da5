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

    /// <summary>
    /// Takes those of the leases that nobody else has. Not to be cancelled: what a store was asked for it may give all the same, and whoever asked must hear of it or nobody gives it back. The store answers
    /// in bounded time.
    /// </summary>
    public async ValueTask<IReadOnlyList<KeptLease>> AcquireAsync(IReadOnlyCollection<string> names)
    {
        if (names.Count == 0) return [];

        var sent = time.GetTimestamp(); // the time counts from before the call
        var got = await leases.AcquireAsync(names, holder, LeaseTimes.TimeToLive, CancellationToken.None);
        return [.. got.Select(lease => _kept[lease.Name] = new KeptLease(this, lease, Left(sent), time))];
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

    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        var kept = _kept.Values.Where(lease => !lease.Lost.IsCancellationRequested).ToArray();
        if (kept.Length == 0) return;

        var sent = time.GetTimestamp();
        var held = await leases.RenewAsync(Array.ConvertAll(kept, lease => lease.Lease), LeaseTimes.TimeToLive, cancellationToken);
        var stillHeld = held.ToHashSet();
        foreach (var lease in kept)
        {
            if (stillHeld.Contains(lease.Lease)) lease.Extend(Left(sent));
            else lease.Lose();
        }
    }

    private TimeSpan Left(long sent)
    {
        var left = LeaseTimes.TimeToLive - time.GetElapsedTime(sent);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
