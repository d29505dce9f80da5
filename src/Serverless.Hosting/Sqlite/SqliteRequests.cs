using Microsoft.Data.Sqlite;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.Sqlite;

/// <summary>Requests as rows hold them: a record and the client's own bytes.</summary>
internal static class SqliteRequests
{
    /// <summary>The request whose record is in this column and whose body in the next.</summary>
    public static InferenceRequest Read(SqliteDataReader row, int column) =>
        RequestCodec.FromRecord(Records.Wire.RequestRecord.Parser.ParseFrom(row.GetFieldValue<byte[]>(column)), row.GetFieldValue<byte[]>(column + 1));
}
