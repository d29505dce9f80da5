using Microsoft.Data.Sqlite;
using Serverless.Documents;

namespace Serverless.Hosting.Sqlite;

/// <summary>Documents of the embedded shape. Thread-safe.</summary>
public sealed class SqliteDocumentStore(SqliteFile file, TimeProvider time) : IDocumentStore
{
    /// <summary>Expired ones cleared with each save: more than one, so that saves that expire cannot outgrow it.</summary>
    private const int ClearedPerSave = 16;

    /// <summary>Half of what SQLite keeps in a row: a document beyond it is a mistake.</summary>
    public long MaxDocumentBytes => 500_000_000;

    /// <inheritdoc/>
    public ValueTask<Document?> GetAsync(DocumentKey key, CancellationToken cancellationToken)
    {
        var now = Now();
        return new(file.Read(connection => connection.Query(
            "SELECT json, etag FROM documents WHERE collection = $collection AND tenant = $tenant AND id = $id AND (expires IS NULL OR expires > $now)",
            row => new Document(key, row.GetFieldValue<byte[]>(0), row.GetString(1)),
            ("$collection", key.Collection),
            ("$tenant", key.Tenant),
            ("$id", key.Id),
            ("$now", now)).SingleOrDefault()));
    }

    /// <inheritdoc/>
    public async ValueTask<string?> SaveAsync(DocumentKey key, ReadOnlyMemory<byte> json, SaveCondition condition, TimeSpan? timeToLive, CancellationToken cancellationToken)
    {
        var now = Now();
        var expires = timeToLive is { } lives ? now + (long)lives.TotalMilliseconds : (long?)null;
        var content = json.ToArray();
        return await file.WriteAsync(
            connection =>
            {
                Clear(connection, now);
                if (!Holds(connection, key, condition, now)) return null;

                var etag = Guid.NewGuid().ToString("n");
                connection.Run(
                    """
                    INSERT INTO documents (collection, tenant, id, json, etag, expires, unlisted) VALUES ($collection, $tenant, $id, $json, $etag, $expires, $unlisted)
                    ON CONFLICT (collection, tenant, id) DO UPDATE SET json = excluded.json, etag = excluded.etag, expires = excluded.expires
                    """,
                    ("$collection", key.Collection),
                    ("$tenant", key.Tenant),
                    ("$id", key.Id),
                    ("$json", content),
                    ("$etag", etag),
                    ("$expires", expires),
                    ("$unlisted", key.IsUnlisted));
                return etag;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> DeleteAsync(DocumentKey key, SaveCondition condition, CancellationToken cancellationToken)
    {
        var now = Now();
        return await file.WriteAsync(
            connection =>
            {
                if (StoredTag(connection, key, now) is { } stored && condition.ETag is { } wanted && wanted != stored) return false;
                Delete(connection, key);
                return true;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync(string collection, string tenant, string? after, int limit, CancellationToken cancellationToken)
    {
        var now = Now();
        return new(file.Read(connection => connection.Query(
            """
            SELECT id FROM documents
            WHERE collection = $collection AND tenant = $tenant AND unlisted = 0 AND (expires IS NULL OR expires > $now)
              AND ($after IS NULL OR seq < (SELECT seq FROM documents WHERE collection = $collection AND tenant = $tenant AND id = $after))
            ORDER BY seq DESC LIMIT $limit
            """,
            row => row.GetString(0),
            ("$collection", collection),
            ("$tenant", tenant),
            ("$now", now),
            ("$after", after),
            ("$limit", limit))));
    }

    private static bool Holds(SqliteConnection connection, DocumentKey key, SaveCondition condition, long now)
    {
        var stored = StoredTag(connection, key, now);
        if (stored is null) Delete(connection, key); // one that has expired: what comes now is a new document, with a new place in the index
        return condition.ETag is null || condition.ETag == (stored ?? "");
    }

    private static string? StoredTag(SqliteConnection connection, DocumentKey key, long now) => (string?)connection.Scalar(
        "SELECT etag FROM documents WHERE collection = $collection AND tenant = $tenant AND id = $id AND (expires IS NULL OR expires > $now)",
        ("$collection", key.Collection),
        ("$tenant", key.Tenant),
        ("$id", key.Id),
        ("$now", now));

    private static void Delete(SqliteConnection connection, DocumentKey key) => connection.Run(
        "DELETE FROM documents WHERE collection = $collection AND tenant = $tenant AND id = $id",
        ("$collection", key.Collection),
        ("$tenant", key.Tenant),
        ("$id", key.Id));

    private static void Clear(SqliteConnection connection, long now) => connection.Run(
        "DELETE FROM documents WHERE seq IN (SELECT seq FROM documents WHERE expires <= $now LIMIT $most)",
        ("$now", now),
        ("$most", ClearedPerSave));

    private long Now() => time.GetUtcNow().ToUnixTimeMilliseconds();
}
