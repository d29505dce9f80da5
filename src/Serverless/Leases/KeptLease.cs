using Serverless.Errors;

namespace Serverless.Leases;

/// <summary>A lease that its holder renews. It is lost here no later than at its store, for the time counts from before each renewal is sent. Dispose to give it back.</summary>
internal sealed class KeptLease : IAsyncDisposable
{
    private readonly ILeases _leases;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _lost;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _renewing;

    private KeptLease(ILeases leases, Lease lease, long acquiredAt, TimeProvider time)
    {
        (_leases, Lease, _time) = (leases, lease, time);
        var left = LeaseTimes.TimeToLive - time.GetElapsedTime(acquiredAt);
        _lost = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
        _renewing = RenewAsync();
    }

    public Lease Lease { get; }

    /// <summary>Cancelled when it is no longer held.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Takes the lease, or returns null when another has it.</summary>
    /// <exception cref="ServingException">The store cannot be reached.</exception>
    public static async ValueTask<KeptLease?> AcquireAsync(ILeases leases, string name, string holder, TimeProvider time, CancellationToken cancellationToken)
    {
        var sent = time.GetTimestamp();
        return await leases.AcquireAsync(name, holder, LeaseTimes.TimeToLive, cancellationToken) is { } lease ? new KeptLease(leases, lease, sent, time) : null;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _renewing;
        if (!_lost.IsCancellationRequested)
        {
            try
            {
                await _leases.ReleaseAsync(Lease, CancellationToken.None);
            }
            catch (ServingException)
            {
                // It runs out by itself.
            }
        }

        _stop.Dispose();
        _lost.Dispose();
    }

    private async Task RenewAsync()
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, _lost.Token);
        using var timer = new PeriodicTimer(LeaseTimes.Renewal, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(either.Token))
            {
                if (await TryRenewAsync(either.Token)) continue;
                await _lost.CancelAsync();
                return;
            }
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
        }
    }

    /// <summary>False: another has it. A store that cannot be reached says nothing, and the time runs on.</summary>
    private async ValueTask<bool> TryRenewAsync(CancellationToken cancellationToken)
    {
        var sent = _time.GetTimestamp();
        try
        {
            if (!await _leases.RenewAsync(Lease, LeaseTimes.TimeToLive, cancellationToken)) return false;
            var left = LeaseTimes.TimeToLive - _time.GetElapsedTime(sent);
            if (left > TimeSpan.Zero) _lost.CancelAfter(left);
            return true;
        }
        catch (ServingException)
        {
            return true;
        }
    }
}
