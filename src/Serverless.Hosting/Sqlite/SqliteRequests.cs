using Microsoft.Data.Sqlite;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.Sqlite;

/// <summary>Requests as rows hold them: a record and the client's own bytes.</summary>
internal static class SqliteRequests
{
    /// <summary>The request whose record is in this column and whose body in the next; null: this release cannot read it.</summary>
    public static InferenceRequest? Read(SqliteDataReader row, int column) => Read(row, column, row.GetFieldValue<byte[]>(column + 1));

    /// <summary>The request whose record is in this column, with that body.</summary>
    public static InferenceRequest? Read(SqliteDataReader row, int column, ReadOnlyMemory<byte> body) =>
        RequestCodec.TryDecode(row.GetFieldValue<byte[]>(column), body, out var request, out _) ? request : null;
}
