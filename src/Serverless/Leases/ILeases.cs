namespace Serverless.Leases;

/// <summary>Port: rights that run out unless renewed. In memory; Redis. The store's clock counts, not the holder's.</summary>
/// <remarks>A store that cannot be reached: every call throws <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time.</remarks>
public interface ILeases
{
    /// <summary>Takes the lease if nobody has it, or renews it if <paramref name="holder"/> has it already (same epoch). Null: another has it.</summary>
    ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken);

    /// <summary>Extends it. False: it ran out or another has it; whoever held it must act as if it never had it.</summary>
    ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken);

    /// <summary>The same for many at once: those it got, in no order. What another has is left out.</summary>
    /// <param name="names">Which.</param>
    /// <param name="holder">Who.</param>
    /// <param name="timeToLive">How long, at most.</param>
    /// <param name="under">A lease without which they are not held: from the moment that it ran out, was given back or was taken anew, they are free. None is got where it is not held now, nor what the holder has under another. Null: they stand alone.</param>
    /// <param name="cancellationToken">Stops waiting; they may have been got.</param>
    ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken);

    /// <summary>Extends many at once: those that are still held, in no order.</summary>
    ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> leases, TimeSpan timeToLive, CancellationToken cancellationToken);

    /// <summary>Gives it back at once, if it is still held.</summary>
    ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken);

    /// <summary>Who has it now, or null.</summary>
    ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken);

    /// <summary>All leases now held whose names begin so, ordered by name.</summary>
    ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken);
}
