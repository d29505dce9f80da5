namespace Serverless.Leases;

/// <summary>A lease that its <see cref="LeaseKeeper"/> renews. Dispose to give it back. Thread-safe.</summary>
internal sealed class KeptLease : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly LeaseKeeper _keeper;
    private readonly CancellationTokenSource _lost;
    private readonly CancellationTokenRegistration _lostWith;
    private bool _disposed;

    public KeptLease(LeaseKeeper keeper, Lease lease, TimeSpan left, KeptLease? under, TimeProvider time)
    {
        (_keeper, Lease, IsUnder) = (keeper, lease, under is not null);
        _lost = new CancellationTokenSource(left, time);
        Lost = _lost.Token;
        if (under is not null) _lostWith = under.Lost.UnsafeRegister(static kept => ((KeptLease)kept!).Lose(), this);
    }

    public Lease Lease { get; }

    /// <summary>Whether it is lost with another.</summary>
    public bool IsUnder { get; }

    /// <summary>Cancelled when it is no longer held.</summary>
    public CancellationToken Lost { get; }

    /// <summary>It was renewed, and so much is left of it. One that ran out meanwhile stays lost: whoever had it has acted on that.</summary>
    public void Extend(TimeSpan left)
    {
        lock (_lock)
        {
            if (!_disposed) _lost.CancelAfter(left);
        }
    }

    /// <summary>Another has it, or it ran out.</summary>
    public void Lose()
    {
        lock (_lock)
        {
            if (!_disposed) _lost.Cancel();
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
        }

        await _keeper.ReleaseAsync(this);
        await _lostWith.DisposeAsync();
        _lost.Dispose();
    }
}
