namespace Serverless.Leases;

/// <summary>A lease that its <see cref="LeaseKeeper"/> renews. Dispose to give it back. Thread-safe.</summary>
internal sealed class KeptLease : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly LeaseKeeper _keeper;
    private readonly CancellationTokenSource _lost;
    private bool _disposed;

    public KeptLease(LeaseKeeper keeper, Lease lease, TimeSpan left, TimeProvider time)
    {
        (_keeper, Lease) = (keeper, lease);
        _lost = new CancellationTokenSource(left, time);
        Lost = _lost.Token;
    }

    public Lease Lease { get; }

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
        _lost.Dispose();
    }
}
