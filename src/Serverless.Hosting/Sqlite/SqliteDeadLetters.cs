using Microsoft.Data.Sqlite;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.Sqlite;

/// <summary>Dead letters of the embedded shape. Thread-safe.</summary>
public sealed class SqliteDeadLetters(SqliteFile file) : IDeadLetters
{
    private const string Columns = "id, error, message, attempts, at, record, length(body)";

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<DeadLetter>> ListAsync(int limit, CancellationToken cancellationToken) =>
        new(file.Read(connection => connection.Query($"SELECT {Columns} FROM dead_letters ORDER BY seq LIMIT $limit", row => Read(row, default), ("$limit", limit))));

    /// <inheritdoc/>
    public ValueTask<long> CountAsync(CancellationToken cancellationToken) =>
        new(file.Read(connection => connection.Query("SELECT count(*) FROM dead_letters", row => row.GetInt64(0)).Single()));

    /// <inheritdoc/>
    public ValueTask<DeadLetter?> GetAsync(string id, CancellationToken cancellationToken) =>
        new(file.Read(connection => connection.Query($"SELECT {Columns}, body FROM dead_letters WHERE id = $id", row => Read(row, row.GetFieldValue<byte[]>(7)), ("$id", id)).SingleOrDefault()));

    /// <inheritdoc/>
    public async ValueTask<bool> RemoveAsync(string id, CancellationToken cancellationToken) =>
        await file.WriteAsync(connection => connection.Run("DELETE FROM dead_letters WHERE id = $id", ("$id", id)), cancellationToken) > 0;

    private static DeadLetter Read(SqliteDataReader row, byte[]? body)
    {
        var request = SqliteRequests.Read(row, 5, body);
        if (body is null && request is not null) request = request with { Shape = default };
        var error = Enum.TryParse<ServingError>(row.GetString(1), out var known) ? known : ServingError.Internal;
        return new DeadLetter(row.GetString(0), new ServingFault(error, row.GetString(2)), row.GetInt32(3), DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(4)), request, body) { Bytes = row.GetInt64(6) };
    }
}
