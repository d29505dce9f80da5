using System.Collections.Concurrent;
using Serverless.Documents;

namespace Serverless.Hosting.Dapr;

/// <summary>Documents in a Dapr state store: any that has tags and time to live; whether a save survives power loss is that store's setting (Redis: <c>appendfsync always</c>). Thread-safe.</summary>
internal sealed class DaprDocumentStore(DaprState state, TimeProvider time) : IDocumentStore
{
    private readonly ConcurrentDictionary<(string Collection, string Tenant), DocumentIndex> _indexes = new();

    /// <summary>What is stored beside a document's content.</summary>
    private const int AroundDocument = 512;

    public long MaxDocumentBytes => state.MaxValueBytes - AroundDocument;

    public async ValueTask<Document?> GetAsync(DocumentKey key, CancellationToken cancellationToken) =>
        await ReadAsync(StateKey(key), cancellationToken) is { Live: true } found ? new Document(key, found.Stored.Json, found.Stored.Tag) : null;

    public async ValueTask<string?> SaveAsync(DocumentKey key, ReadOnlyMemory<byte> json, SaveCondition condition, TimeSpan? timeToLive, CancellationToken cancellationToken)
    {
        var stateKey = StateKey(key);
        while (true)
        {
            var found = await ReadAsync(stateKey, cancellationToken);
            if (!Holds(condition, found)) return null;

            var expiresAt = timeToLive is { } life ? (time.GetUtcNow() + life).ToUnixTimeMilliseconds() : (long?)null;
            var place = await PlaceAsync(key, found, expiresAt, cancellationToken);
            var document = new StoredDocument { Place = place, ExpiresAt = expiresAt, Json = json };
            if (await state.TrySaveAsync(stateKey, document.Encode(), found?.StoreTag, timeToLive, cancellationToken)) return document.Tag;
        }
    }

    public async ValueTask<bool> DeleteAsync(DocumentKey key, SaveCondition condition, CancellationToken cancellationToken)
    {
        var stateKey = StateKey(key);
        while (await ReadAsync(stateKey, cancellationToken) is { Live: true } found)
        {
            if (!Holds(condition, found)) return false;
            if (!await state.TryDeleteAsync(stateKey, found.StoreTag, cancellationToken)) continue;

            if (found.Stored.Place != IndexPlace.None) await Index(key.Collection, key.Tenant).RemoveAsync(key.Id, found.Stored.Place, cancellationToken);
            return true;
        }

        return true;
    }

    public async ValueTask<IReadOnlyList<string>> ListAsync(string collection, string tenant, string? after, int limit, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limit);
        return limit == 0 ? [] : await Index(collection, tenant).ListAsync(after, limit, ExistsAsync, cancellationToken);

        async Task<bool> ExistsAsync(string id, long page) =>
            await ReadAsync(StateKey(new DocumentKey(collection, tenant, id)), cancellationToken) is { Live: true } found && found.Stored.Place.Page == page;
    }

    private async Task<IndexPlace> PlaceAsync(DocumentKey key, Found? found, long? expiresAt, CancellationToken cancellationToken)
    {
        if (key.IsUnlisted) return IndexPlace.None;

        var index = Index(key.Collection, key.Tenant);
        return found is { Live: true } ? await index.KeepAsync(key.Id, found.Stored.Place, expiresAt, cancellationToken) : await index.AddAsync(key.Id, expiresAt, cancellationToken);
    }

    private static bool Holds(SaveCondition condition, Found? found) => condition.ETag switch
    {
        null => true,
        "" => found is not { Live: true },
        var tag => found is { Live: true } && found.Stored.Tag == tag,
    };

    /// <summary><c>||</c> separates Dapr's own prefix and <c>/</c> ours, so neither may be in a part.</summary>
    private static string StateKey(DocumentKey key) => $"{Collection(key.Collection)}/{Uri.EscapeDataString(key.Tenant)}/{Uri.EscapeDataString(key.Id)}";

    private static string Collection(string name) => name.Length > 0 && name.All(character => character is (>= 'a' and <= 'z') or '-')
        ? name
        : throw new ArgumentException($"Collection '{name}' is not lower case letters and dashes.", nameof(name));

    private DocumentIndex Index(string collection, string tenant) => _indexes.GetOrAdd(
        (collection, tenant),
        static (names, store) => new DocumentIndex($"index.{Collection(names.Collection)}/{Uri.EscapeDataString(names.Tenant)}", store.State, store.Time),
        (State: state, Time: time));

    private async Task<Found?> ReadAsync(string stateKey, CancellationToken cancellationToken)
    {
        if (await state.GetAsync(stateKey, cancellationToken) is not { } got) return null;

        var stored = StoredDocument.Decode(stateKey, got.Value);
        return new Found(stored, got.Tag, stored.ExpiresAt is not { } expires || time.GetUtcNow().ToUnixTimeMilliseconds() < expires);
    }

    /// <param name="Stored">What is there.</param>
    /// <param name="StoreTag">The store's own tag of it.</param>
    /// <param name="Live">Whether it has not outlived its time; the store itself may be a second late.</param>
    private sealed record Found(StoredDocument Stored, string StoreTag, bool Live);
}
