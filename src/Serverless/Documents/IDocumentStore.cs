namespace Serverless.Documents;

/// <summary>Port: state that outlives processes: request records, batches, idempotency keys, learned figures. SQLite; Dapr state. Acknowledged saves survive power loss where the store is set up so.</summary>
/// <remarks>A store that cannot be reached: every call throws <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time; where nobody answered, a <see cref="TimeoutException"/> is inside, so that it is told from a refusal.</remarks>
public interface IDocumentStore
{
    /// <summary>Bytes of the largest document that it takes, as far as it knows.</summary>
    long MaxDocumentBytes => long.MaxValue;

    /// <summary>The document, or null when there is none (or it has outlived its time).</summary>
    ValueTask<Document?> GetAsync(DocumentKey key, CancellationToken cancellationToken);

    /// <summary>Saves it and keeps the tenant's index. Returns the new ETag; null when the condition does not hold, and nothing was changed.</summary>
    /// <param name="key">Its name.</param>
    /// <param name="json">Its content, JSON.</param>
    /// <param name="condition">What must be true of the stored one.</param>
    /// <param name="timeToLive">After that it is gone by itself; null: never.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<string?> SaveAsync(DocumentKey key, ReadOnlyMemory<byte> json, SaveCondition condition, TimeSpan? timeToLive, CancellationToken cancellationToken);

    /// <summary>Deletes it under a condition. False when the condition does not hold; true also when there was none.</summary>
    ValueTask<bool> DeleteAsync(DocumentKey key, SaveCondition condition, CancellationToken cancellationToken);

    /// <summary>Ids of a tenant's documents of a collection, newest first, from after <paramref name="after"/> (an id; null: from the start), at most <paramref name="limit"/>.</summary>
    ValueTask<IReadOnlyList<string>> ListAsync(string collection, string tenant, string? after, int limit, CancellationToken cancellationToken);
}
