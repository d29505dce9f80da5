using System.Globalization;

namespace Serverless.Documents;

/// <summary>Documents of a process that keeps nothing over its end. Thread-safe.</summary>
public sealed class MemoryDocumentStore(TimeProvider time) : IDocumentStore
{
    private readonly Lock _lock = new();
    private readonly Dictionary<DocumentKey, (Document Document, DateTimeOffset Until)> _documents = [];
    private readonly LinkedList<DocumentKey> _order = new();
    private long _saves;

    /// <inheritdoc/>
    public ValueTask<Document?> GetAsync(DocumentKey key, CancellationToken cancellationToken)
    {
        lock (_lock) return new(FindNeedsLock(key));
    }

    /// <inheritdoc/>
    public ValueTask<string?> SaveAsync(DocumentKey key, ReadOnlyMemory<byte> json, SaveCondition condition, TimeSpan? timeToLive, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var stored = FindNeedsLock(key);
            if (!Holds(condition, stored)) return new((string?)null);

            if (stored is null && !key.IsUnlisted) _order.AddFirst(key);
            var etag = (++_saves).ToString(CultureInfo.InvariantCulture);
            _documents[key] = (new Document(key, json.ToArray(), etag), timeToLive is { } span ? time.GetUtcNow() + span : DateTimeOffset.MaxValue);
            return new(etag);
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> DeleteAsync(DocumentKey key, SaveCondition condition, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var stored = FindNeedsLock(key);
            if (stored is null) return new(true);
            if (!Holds(condition, stored)) return new(false);
            ForgetNeedsLock(key);
            return new(true);
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync(string collection, string tenant, string? after, int limit, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var ids = _order.Where(key => key.Collection == collection && key.Tenant == tenant).ToArray().Where(key => FindNeedsLock(key) is not null).Select(key => key.Id);
            if (after is not null) ids = ids.SkipWhile(id => id != after).Skip(1);
            return new([.. ids.Take(limit)]);
        }
    }

    private static bool Holds(SaveCondition condition, Document? stored) => condition.ETag is null || condition.ETag == (stored?.ETag ?? "");

    private Document? FindNeedsLock(DocumentKey key)
    {
        if (!_documents.TryGetValue(key, out var stored)) return null;
        if (stored.Until > time.GetUtcNow()) return stored.Document;
        ForgetNeedsLock(key);
        return null;
    }

    private void ForgetNeedsLock(DocumentKey key)
    {
        _documents.Remove(key);
        _order.Remove(key);
    }
}
