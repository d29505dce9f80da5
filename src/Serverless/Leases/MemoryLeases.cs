namespace Serverless.Leases;

/// <summary>Leases within one process. Thread-safe.</summary>
public sealed class MemoryLeases(TimeProvider time) : ILeases
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, (Lease Lease, DateTimeOffset Until, Lease? Under)> _held = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _epochs = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        lock (_lock) return new(AcquireNeedsLock(name, holder, timeToLive, null));
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (under is not null && HeldNeedsLock(under.Name, time.GetUtcNow()) != under) return new([]);
            return new([.. names.Select(name => AcquireNeedsLock(name, holder, timeToLive, under)).OfType<Lease>()]);
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        lock (_lock) return new(TryRenewNeedsLock(lease, timeToLive));
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> leases, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        lock (_lock) return new([.. leases.Where(lease => TryRenewNeedsLock(lease, timeToLive))]);
    }

    /// <inheritdoc/>
    public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        lock (_lock)
        {
            if (HeldNeedsLock(lease.Name, time.GetUtcNow()) == lease) _held.Remove(lease.Name);
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        lock (_lock) return new(HeldNeedsLock(name, time.GetUtcNow()));
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            return new([.. _held.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Select(name => HeldNeedsLock(name, now)).OfType<Lease>()]);
        }
    }

    private Lease? AcquireNeedsLock(string name, string holder, TimeSpan timeToLive, Lease? under)
    {
        var now = time.GetUtcNow();
        if (HeldNeedsLock(name, now) is { } held)
        {
            if (held.Holder != holder || (under is not null && _held[name].Under != under)) return null;
            _held[name] = (held, now + timeToLive, under);
            return held;
        }

        var lease = new Lease(name, holder, Math.Max(_epochs.GetValueOrDefault(name) + 1, now.ToUnixTimeMilliseconds()));
        _epochs[name] = lease.Epoch;
        _held[name] = (lease, now + timeToLive, under);
        return lease;
    }

    private bool TryRenewNeedsLock(Lease lease, TimeSpan timeToLive)
    {
        var now = time.GetUtcNow();
        if (HeldNeedsLock(lease.Name, now) != lease) return false;
        _held[lease.Name] = _held[lease.Name] with { Until = now + timeToLive };
        return true;
    }

    private Lease? HeldNeedsLock(string name, DateTimeOffset now) =>
        _held.TryGetValue(name, out var held) && held.Until > now && (held.Under is not { } under || HeldNeedsLock(under.Name, now) == under) ? held.Lease : null;
}
