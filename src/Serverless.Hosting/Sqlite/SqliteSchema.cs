using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Serverless.Hosting.Sqlite;

/// <summary>The tables of the embedded shape's database. A release adds a step at the end and never changes one that was shipped.</summary>
internal static class SqliteSchema
{
    private static readonly string[] Steps =
    [
        """
        CREATE TABLE documents (
          seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order of creation
          collection TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL,
          json BLOB NOT NULL, etag TEXT NOT NULL,
          expires INTEGER, -- Unix ms; null: never
          UNIQUE (collection, tenant, id));
        CREATE INDEX documents_by_tenant ON documents (collection, tenant, seq);
        CREATE INDEX documents_by_expiry ON documents (expires) WHERE expires IS NOT NULL;

        CREATE TABLE requests ( -- promised by an id and not done with
          seq INTEGER PRIMARY KEY AUTOINCREMENT,
          id TEXT NOT NULL UNIQUE,
          record BLOB NOT NULL, -- records.proto RequestRecord
          body BLOB NOT NULL);

        CREATE TABLE logs ( -- of requests that an id promises
          id TEXT NOT NULL PRIMARY KEY,
          head BLOB NOT NULL, -- JSON
          deadline INTEGER NOT NULL, -- Unix ms
          attempts INTEGER NOT NULL, without_progress INTEGER NOT NULL, progressed INTEGER NOT NULL,
          events BLOB) -- null while it is open; then all of them, records.proto EventRecord, each with its length before it
          WITHOUT ROWID;
        CREATE INDEX logs_by_deadline ON logs (deadline);

        CREATE TABLE dead_letters (
          seq INTEGER PRIMARY KEY AUTOINCREMENT,
          id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
          error TEXT NOT NULL, message TEXT NOT NULL, attempts INTEGER NOT NULL, at INTEGER NOT NULL,
          record BLOB NOT NULL, body BLOB NOT NULL);
        CREATE INDEX dead_letters_by_model ON dead_letters (model);
        """,
        "ALTER TABLE documents ADD COLUMN unlisted INTEGER NOT NULL DEFAULT 0", // found by their names alone
    ];

    /// <summary>Brings the file to this release's tables, in one transaction a step.</summary>
    public static void Create(SqliteConnection connection, string path)
    {
        var version = Convert.ToInt32(connection.Command("PRAGMA user_version").ExecuteScalar(), CultureInfo.InvariantCulture);
        if (version > Steps.Length)
        {
            throw new IOException($"'{path}' has version {version} of the tables and this release knows {Steps.Length}: a later release wrote it. Start that one, or give another --data folder.");
        }

        for (; version < Steps.Length; version++)
        {
            using var transaction = connection.BeginTransaction();
            connection.Command(Steps[version]).ExecuteNonQuery();
            connection.Command($"PRAGMA user_version = {version + 1}").ExecuteNonQuery();
            transaction.Commit();
        }
    }
}
