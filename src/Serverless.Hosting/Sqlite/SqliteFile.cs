using System.Data;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;
using Serverless.Errors;

namespace Serverless.Hosting.Sqlite;

/// <summary>
/// The database of the embedded shape: one file, one process, one writer. What <see cref="WriteAsync{T}"/> returned is on disk; writes that come while the disk syncs share the next sync.
/// Readers see what was committed and wait for nobody. Thread-safe.
/// </summary>
public sealed class SqliteFile : IAsyncDisposable
{
    /// <summary>The file's name in its folder.</summary>
    public const string FileName = "serverless.db";

    private const int MaxWaiting = 4096;
    private const int MaxBatch = 512;

    private readonly FileStream _lock;
    private readonly string _connectionString;
    private SqliteConnection _writer;
    private readonly Channel<IWrite> _writes = Channel.CreateBounded<IWrite>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly Task _writing;

    private SqliteFile(FileStream processLock, string connectionString, SqliteConnection writer)
    {
        _lock = processLock;
        _connectionString = connectionString;
        _writer = writer;
        _writing = Task.Run(WriteBatchesAsync);
    }

    private interface IWrite
    {
        /// <summary>Does the work inside the open transaction; a failure of its own does not touch its neighbours.</summary>
        void Run(SqliteConnection connection);

        /// <summary>Tells the caller, after the commit; <paramref name="failure"/> is the commit's.</summary>
        void Complete(Exception? failure);
    }

    /// <summary>Opens the file of <paramref name="folder"/>, and makes both where there is none.</summary>
    /// <exception cref="IOException">Another process has it open, or it is of a later release, or no database; the message says which.</exception>
    public static SqliteFile Open(string folder)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, FileName);
        var processLock = LockFolder(folder);
        SqliteConnection? writer = null;
        try
        {
            var connectionString = new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 5, Pooling = false /* a pool may keep the file open after it was cleared, if it was being pruned */ }.ToString();
            writer = Connect(connectionString);
            Execute(writer, "PRAGMA journal_mode = WAL");
            SqliteSchema.Create(writer, path);
            return new SqliteFile(processLock, connectionString, writer);
        }
        catch (SqliteException exception)
        {
            writer?.Dispose();
            processLock.Dispose();
            throw new IOException($"'{path}' cannot be used as a database: {exception.Message} Give another --data folder, or move the file away.", exception);
        }
        catch
        {
            writer?.Dispose();
            processLock.Dispose();
            throw;
        }
    }

    /// <summary>Runs <paramref name="work"/> in a transaction and returns when it is on disk. Cancelling stops the wait, not the work.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.StoreUnavailable"/>: the disk refused it, and nothing of it was kept.</exception>
    public async Task<T> WriteAsync<T>(Func<SqliteConnection, T> work, CancellationToken cancellationToken)
    {
        var write = new Write<T>(work);
        try
        {
            await _writes.Writer.WriteAsync(write, cancellationToken);
        }
        catch (ChannelClosedException exception)
        {
            throw Unavailable("it is closed", exception);
        }

        return await write.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Runs <paramref name="query"/> on what is committed, on the caller's thread: a few lookups, not a scan.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.StoreUnavailable"/>: the file cannot be read.</exception>
    public T Read<T>(Func<SqliteConnection, T> query)
    {
        ArgumentNullException.ThrowIfNull(query);
        try
        {
            using var connection = Connect(_connectionString);
            return query(connection);
        }
        catch (SqliteException exception)
        {
            throw Unavailable(exception.Message, exception);
        }
    }

    /// <summary>Writes what waits, then closes the file.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_writes.Writer.TryComplete()) return;

        await _writing;
        await _writer.DisposeAsync();
        await _lock.DisposeAsync();
    }

    private static FileStream LockFolder(string folder)
    {
        var path = Path.Combine(folder, "serverless.lock");
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception)
        {
            throw new IOException($"The data folder '{folder}' is in use by another process ('{path}' is locked); stop that one or give another --data folder.", exception);
        }
    }

    private static SqliteConnection Connect(string connectionString)
    {
        var connection = new SqliteConnection(connectionString);
        try
        {
            connection.Open();
            Execute(connection, "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static ServingException Unavailable(string why, Exception inner) =>
        new(new ServingFault(ServingError.StoreUnavailable, $"The database cannot be used now: {why}. Nothing was promised; try again later."), inner);

    /// <summary>Lives through whatever a batch throws: each write of it is answered, and the next batch is tried.</summary>
    private async Task WriteBatchesAsync()
    {
        var batch = new List<IWrite>();
        while (await _writes.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MaxBatch && _writes.Reader.TryRead(out var write)) batch.Add(write);
            var failure = Commit(batch);
            foreach (var write in batch) write.Complete(failure);
        }
    }

    private Exception? Commit(List<IWrite> batch)
    {
        SqliteTransaction? transaction = null;
        try
        {
            if (_writer.State != ConnectionState.Open) Reconnect();
            transaction = _writer.BeginTransaction();
            foreach (var write in batch) write.Run(_writer);
            transaction.Commit();
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
        finally
        {
            Close(transaction);
        }
    }

    private void Reconnect()
    {
        _writer.Dispose();
        _writer = Connect(_connectionString);
    }

    /// <summary>Rolls back what did not commit; where SQLite has done so itself, there is nothing left to roll back.</summary>
    private static void Close(SqliteTransaction? transaction)
    {
        try
        {
            transaction?.Dispose();
        }
        catch (Exception)
        {
            // The commit's own failure is what callers are told.
        }
    }

    private sealed class Write<T>(Func<SqliteConnection, T> work) : IWrite
    {
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T _result = default!;
        private Exception? _failure;

        public Task<T> Task => _done.Task;

        public void Run(SqliteConnection connection)
        {
            Execute(connection, "SAVEPOINT write");
            try
            {
                _result = work(connection);
                Execute(connection, "RELEASE write");
            }
            catch (Exception exception)
            {
                _failure = exception is SqliteException ? Unavailable(exception.Message, exception) : exception;
                Execute(connection, "ROLLBACK TO write; RELEASE write");
            }
        }

        public void Complete(Exception? failure)
        {
            if (failure is not null) _failure = Unavailable(failure.Message, failure);
            if (_failure is not null) _done.TrySetException(_failure);
            else _done.TrySetResult(_result);
        }
    }
}
