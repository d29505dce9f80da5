using System.Runtime.CompilerServices;
using Google.Protobuf;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.Sqlite;

/// <summary>
/// The queue of the embedded shape: in memory, and on disk too what an id promises, from before its enqueue returns until it is done with. A start delivers again what the last
/// one left. Dead letters of both kinds are on disk. Thread-safe.
/// </summary>
public sealed class SqliteRequestQueue : IRequestQueue
{
    private readonly MemoryRequestQueue _memory;
    private readonly SqliteFile _file;
    private readonly TimeProvider _time;

    /// <summary>Over this file, with what it holds.</summary>
    public SqliteRequestQueue(SqliteFile file, QueueLimits limits, TimeProvider time)
    {
        (_file, _time, _memory) = (file, time, new MemoryRequestQueue(limits, time));
        foreach (var request in file.Read(connection => connection.Query("SELECT record, body FROM requests ORDER BY seq", row => SqliteRequests.Read(row, 0))))
        {
            if (request is not null) _memory.Restore(request); // what a later release wrote stays for it
        }
    }

    /// <inheritdoc/>
    public async ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Promise == Promise.Connection) return await _memory.EnqueueAsync(request, cancellationToken);
        if (_memory.Check(request) is { } full) return new EnqueueResult(full);

        try
        {
            var (record, body) = (RequestCodec.ToRecord(request).ToByteArray(), request.Body.ToArray());
            await _file.WriteAsync(
                connection => connection.Run("INSERT OR IGNORE INTO requests (id, record, body) VALUES ($id, $record, $body)", ("$id", request.Id.Value), ("$record", record), ("$body", body)),
                cancellationToken);
        }
        catch (ServingException exception)
        {
            return new EnqueueResult(exception.Fault);
        }

        // Only now: what is delivered has been promised. Others may have filled the queue while the disk wrote.
        var result = await _memory.EnqueueAsync(request, cancellationToken);
        if (!result.Succeeded) await DeleteAsync(request.Id, CancellationToken.None);
        return result;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var delivery in _memory.ConsumeAsync(model, cancellationToken)) yield return new Delivery(this, delivery);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelName> WatchArrivalsAsync(CancellationToken cancellationToken) => _memory.WatchArrivalsAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken)
    {
        var letters = _file.Read(connection => (long)connection.Scalar("SELECT COUNT(*) FROM dead_letters WHERE model = $model", ("$model", model.Value))!);
        return await _memory.DepthAsync(model, cancellationToken) with { DeadLetters = letters };
    }

    private async ValueTask DeleteAsync(RequestId id, CancellationToken cancellationToken) =>
        await _file.WriteAsync(connection => connection.Run("DELETE FROM requests WHERE id = $id", ("$id", id.Value)), cancellationToken);

    private async ValueTask BuryAsync(InferenceRequest request, ServingFault reason, int attempts, CancellationToken cancellationToken)
    {
        var (record, body, at) = (RequestCodec.ToRecord(request).ToByteArray(), request.Body.ToArray(), _time.GetUtcNow().ToUnixTimeMilliseconds());
        await _file.WriteAsync(
            connection =>
            {
                if (request.Promise == Promise.Id) connection.Run("DELETE FROM requests WHERE id = $id", ("$id", request.Id.Value));
                return connection.Run(
                    """
                    INSERT OR IGNORE INTO dead_letters (id, model, error, message, attempts, at, record, body)
                    VALUES ($id, $model, $error, $message, $attempts, $at, $record, $body)
                    """,
                    ("$id", request.Id.Value),
                    ("$model", request.Model.Value),
                    ("$error", reason.Error.ToString()),
                    ("$message", reason.Message),
                    ("$attempts", attempts),
                    ("$at", at),
                    ("$record", record),
                    ("$body", body));
            },
            cancellationToken);
    }

    private sealed class Delivery(SqliteRequestQueue queue, IRequestDelivery inner) : IRequestDelivery
    {
        public InferenceRequest Request => inner.Request;

        public bool Redelivered => inner.Redelivered;

        public async ValueTask CompleteAsync(CancellationToken cancellationToken)
        {
            if (Request.Promise == Promise.Id) await queue.DeleteAsync(Request.Id, cancellationToken);
            await inner.CompleteAsync(cancellationToken);
        }

        public ValueTask ReturnAsync(CancellationToken cancellationToken) => inner.ReturnAsync(cancellationToken);

        public async ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken)
        {
            await queue.BuryAsync(Request, reason, attempts, cancellationToken);
            await inner.DeadLetterAsync(reason, attempts, cancellationToken);
        }
    }
}
