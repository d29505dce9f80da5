using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.Sqlite;

/// <summary>
/// The log of the embedded shape: in memory; and of what an id promises, on disk too, the attempts before they begin and all events once it has ended. So a start neither repeats
/// what has ended nor goes on forever with a request that takes the process with it. Output of what had not ended is generated again. Thread-safe.
/// </summary>
public sealed class SqliteRequestLog(SqliteFile file, TimeProvider time, long maxOutputBytes = LogLimits.MaxOutputBytes) : IRequestLog, IAsyncDisposable
{
    private const int ClearedPerEnd = 16;
    private const int MaxLosses = 3;

    private readonly MemoryRequestLog _memory = new(time, maxOutputBytes);

    // Those whose last attempts each took a process with them, so that no dispatcher lived to count: the log itself condemns them.
    private readonly ConcurrentDictionary<RequestId, bool> _lethal = new();

    /// <inheritdoc/>
    public ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(head);
        return head.Promise == Promise.Connection || IsKnown(id) ? _memory.OpenAsync(id, head, cancellationToken) : OpenOnDiskAsync();

        async ValueTask OpenOnDiskAsync()
        {
            await SaveAsync(id, head, new LogAttempts(0, 0, true), null, cancellationToken);
            await _memory.OpenAsync(id, head, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken)
    {
        IsKnown(id);
        return _memory.AcceptAsync(id, at, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken)
    {
        IsKnown(id);
        var begin = _memory.BeginAsync(id, epoch, nonce, cancellationToken);
        return IsPromised(id) ? SaveBeginAsync() : begin;

        async ValueTask<BeginResult> SaveBeginAsync()
        {
            var begun = await begin;
            if (begun.Status == BeginStatus.Begun && _lethal.TryRemove(id, out _)) return await CondemnAsync(id, begun.AttemptsWithoutProgress, begun.Fence.Attempt - 1, cancellationToken);
            if (begun.Status == BeginStatus.Begun) await SaveAttemptsAsync(id, cancellationToken);
            return begun;
        }
    }

    /// <inheritdoc/>
    public ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken)
    {
        IsKnown(id);
        return _memory.AdoptAsync(id, head, epoch, fence, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken)
    {
        IsKnown(id);
        var before = _memory.Attempts(id);
        var append = _memory.AppendAsync(id, fence, fromSequence, events, cancellationToken);
        return IsPromised(id) ? SaveAppendAsync() : append;

        async ValueTask<AppendStatus> SaveAppendAsync()
        {
            var status = await append;
            if (status is not (AppendStatus.Accepted or AppendStatus.TooLarge)) return status;

            // An end that is appended again is saved again: its first writing may have failed.
            if (status == AppendStatus.TooLarge || (events.Count > 0 && events[^1].IsTerminal)) await SaveEndAsync(id, cancellationToken);
            else if (before is { Progressed: false } && _memory.Attempts(id) is { Progressed: true }) await SaveAttemptsAsync(id, cancellationToken);
            return status;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken)
    {
        var known = IsKnown(id);
        var ended = await _memory.EndAsync(id, end, cancellationToken);
        if (known && IsPromised(id)) await SaveEndAsync(id, cancellationToken);
        return ended;
    }

    /// <inheritdoc/>
    public ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken)
    {
        IsKnown(id);
        return _memory.LapseAsync(id, holder, end, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken)
    {
        if (!IsKnown(id)) return HoldResult.Unknown;
        if (promise == Promise.Connection) return await _memory.HoldAsync(id, promise, holder, cancellationToken);
        if (await _memory.ReadHeadAsync(id, cancellationToken) is not { } head || _memory.Attempts(id) is not { } attempts) return HoldResult.Unknown;

        // On disk first: a promise is given only once it will be kept.
        await SaveAsync(id, head with { Promise = promise, Holder = holder }, attempts, null, cancellationToken);
        var held = await _memory.HoldAsync(id, promise, holder, cancellationToken);
        if (held != HoldResult.Held && !IsPromised(id)) await file.WriteAsync(connection => connection.Run("DELETE FROM logs WHERE id = $id", ("$id", id.Value)), CancellationToken.None);
        return held;
    }

    /// <inheritdoc/>
    public ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken)
    {
        IsKnown(id);
        return _memory.ReadHeadAsync(id, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IsKnown(id);
        await foreach (var logged in _memory.FollowAsync(id, afterSequence, cancellationToken)) yield return logged;
    }

    /// <inheritdoc/>
    public void Forget(RequestId id, string holder) => _memory.Forget(id, holder);

    /// <inheritdoc/>
    public IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, CancellationToken cancellationToken) => _memory.WatchEndsAsync(model, cancellationToken);

    /// <summary>A stop in good order is no fault of what was running: its attempts do not count as lost.</summary>
    public async ValueTask DisposeAsync() =>
        await file.WriteAsync(connection => connection.Run("UPDATE logs SET progressed = 1 WHERE events IS NULL AND progressed = 0"), CancellationToken.None);

    private bool IsPromised(RequestId id) => _memory.Head(id) is { Promise: Promise.Id };

    /// <summary>Whether there is such a log; one that only the disk has is in memory afterwards.</summary>
    private bool IsKnown(RequestId id)
    {
        if (_memory.Head(id) is not null) return true;

        var stored = file.Read(connection => connection.Query(
            "SELECT head, attempts, without_progress, progressed, events FROM logs WHERE id = $id",
            row => (
                Head: JsonSerializer.Deserialize<LogHead>(row.GetFieldValue<byte[]>(0))!,
                Attempts: new LogAttempts(row.GetInt32(1), row.GetInt32(2), row.GetBoolean(3)),
                Events: row.IsDBNull(4) ? [] : EventCodec.DecodeAll(row.GetFieldValue<byte[]>(4))),
            ("$id", id.Value)));
        foreach (var (head, attempts, events) in stored)
        {
            _memory.Restore(id, head, attempts, events);
            if (events.Count == 0 && !attempts.Progressed && attempts.WithoutProgress + 1 >= MaxLosses) _lethal[id] = true;
        }

        return stored.Count > 0;
    }

    /// <summary>Ends it and lays its request to the dead letters; it stays in the queue until its promise is kept.</summary>
    private async ValueTask<BeginResult> CondemnAsync(RequestId id, int losses, int attempts, CancellationToken cancellationToken)
    {
        var fault = new ServingFault(
            ServingError.Poisoned,
            string.Create(CultureInfo.InvariantCulture, $"{losses} attempts in a row were lost with their process before a token came; the request is taken to be the cause and will not be tried again."));
        await EndAsync(id, new RequestEvent.Failed(fault), cancellationToken);
        var at = time.GetUtcNow().ToUnixTimeMilliseconds();
        await file.WriteAsync(
            connection => connection.Run(
                """
                INSERT OR IGNORE INTO dead_letters (id, model, error, message, attempts, at, record, body)
                SELECT id, $model, $error, $message, $attempts, $at, record, body FROM requests WHERE id = $id
                """,
                ("$id", id.Value),
                ("$model", _memory.Head(id)?.Model.Value ?? ""),
                ("$error", fault.Error.ToString()),
                ("$message", fault.Message),
                ("$attempts", attempts),
                ("$at", at)),
            cancellationToken);
        return BeginResult.Refused(BeginStatus.Ended);
    }

    private async ValueTask SaveAttemptsAsync(RequestId id, CancellationToken cancellationToken)
    {
        if (_memory.Head(id) is { } head && _memory.Attempts(id) is { } attempts) await SaveAsync(id, head, attempts, null, cancellationToken);
    }

    private async ValueTask SaveEndAsync(RequestId id, CancellationToken cancellationToken)
    {
        if (_memory.Head(id) is not { } head || _memory.Attempts(id) is not { } attempts) return;

        var events = new List<RequestEvent>();
        await foreach (var logged in _memory.FollowAsync(id, 0, cancellationToken)) events.Add(logged.Event);
        await SaveAsync(id, head, attempts, EventCodec.EncodeAll(events), cancellationToken);
    }

    private async ValueTask SaveAsync(RequestId id, LogHead head, LogAttempts attempts, byte[]? events, CancellationToken cancellationToken)
    {
        var (json, outlived) = (JsonSerializer.SerializeToUtf8Bytes(head), (time.GetUtcNow() - MemoryRequestLog.KeptBeyondDeadline).ToUnixTimeMilliseconds());
        await file.WriteAsync(
            connection =>
            {
                if (events is not null)
                {
                    connection.Run(
                        "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE deadline <= $outlived AND id NOT IN (SELECT id FROM requests) AND id <> $id LIMIT $most)",
                        ("$outlived", outlived),
                        ("$id", id.Value),
                        ("$most", ClearedPerEnd));
                }

                return connection.Run(
                    """
                    INSERT INTO logs (id, head, deadline, attempts, without_progress, progressed, events) VALUES ($id, $head, $deadline, $attempts, $without, $progressed, $events)
                    ON CONFLICT (id) DO UPDATE SET head = excluded.head, attempts = excluded.attempts, without_progress = excluded.without_progress,
                      progressed = excluded.progressed, events = COALESCE(excluded.events, events)
                      WHERE excluded.attempts >= attempts
                    """,
                    ("$id", id.Value),
                    ("$head", json),
                    ("$deadline", head.Deadline.ToUnixTimeMilliseconds()),
                    ("$attempts", attempts.Count),
                    ("$without", attempts.WithoutProgress),
                    ("$progressed", attempts.Progressed),
                    ("$events", events));
            },
            cancellationToken);
    }
}
