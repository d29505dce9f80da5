using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>
/// The request log of the embedded shape. Thread-safe; a lock per request, none over all of them.
/// An open log is never trimmed. An ended one goes once its holder has given its answer, if a connection was owed it; else some time after its deadline, at the latest when
/// <see cref="MaxEnded"/> others have ended after it, or so many that all ended ones take more than <see cref="MaxEndedBytes"/>.
/// </summary>
public sealed class MemoryRequestLog(TimeProvider time, long maxOutputBytes = LogLimits.MaxOutputBytes) : IRequestLog
{
    /// <summary>Ended logs that are kept at most.</summary>
    public const int MaxEnded = 1024;

    /// <summary>Bytes that ended logs take together at most, but for the newest.</summary>
    public const long MaxEndedBytes = 256 * 1024 * 1024;

    /// <summary>How long an ended log outlives its deadline: what ends by it can still be read.</summary>
    public static readonly TimeSpan KeptBeyondDeadline = TimeSpan.FromMinutes(1);

    private const int MaxEndHints = 65536;

    private readonly ConcurrentDictionary<RequestId, MemoryLogEntry> _entries = new();
    private readonly ConcurrentDictionary<ModelName, long> _epochs = new();
    private readonly ConcurrentDictionary<ModelName, ConcurrentDictionary<Channel<RequestId>, bool>> _watchers = new();
    private readonly ConcurrentQueue<(RequestId Id, DateTimeOffset KeepUntil, long Bytes)> _ended = new();
    private readonly string _storeRun = Guid.NewGuid().ToString("n");
    private long _endedBytes;

    /// <summary>Logs held now, open and ended.</summary>
    public int Count => _entries.Count;

    /// <summary>What <see cref="ReadHeadAsync"/> answers.</summary>
    public LogHead? Head(RequestId id) => _entries.GetValueOrDefault(id)?.ReadHead();

    /// <summary>How its attempts stand, or null when there is no such log. With <see cref="Restore"/>, for a store that keeps what an id promises.</summary>
    public LogAttempts? Attempts(RequestId id) => _entries.GetValueOrDefault(id)?.Attempts;

    /// <summary>Puts back a log as a store kept it; one that is there stays as it is. An ended one brings all its events; an open one starts anew from sequence 1, its output is lost.</summary>
    public void Restore(RequestId id, LogHead head, LogAttempts attempts, IReadOnlyList<RequestEvent> events)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(events);
        var entry = new MemoryLogEntry(head, _storeRun, maxOutputBytes, time);
        entry.Restore(attempts, events);
        if (!_entries.TryAdd(id, entry) || events.Count == 0) return;

        var now = time.GetUtcNow();
        Retain(id, entry, head.Deadline > now ? head.Deadline : now);
    }

    /// <inheritdoc/>
    public ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken)
    {
        _entries.TryAdd(id, new MemoryLogEntry(head, _storeRun, maxOutputBytes, time));
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken) =>
        new(_entries.TryGetValue(id, out var entry) && entry.Accept(at));

    /// <inheritdoc/>
    public ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(id, out var entry)) return new(BeginResult.Refused(BeginStatus.Unknown));

        return new(IsStale(entry, epoch) ? BeginResult.Refused(BeginStatus.StaleEpoch) : entry.Begin(nonce));
    }

    /// <inheritdoc/>
    public async ValueTask<AppendStatus> AppendAsync(
        RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(id, out var entry)) return fence.StoreRun == _storeRun ? AppendStatus.Unknown : AppendStatus.StoreChanged;

        var status = entry.Append(fence, fromSequence, events, out var ended);
        if (ended) Retain(id, entry, entry.Head.Deadline);
        if (status == AppendStatus.TooLarge) await EndAsync(id, LogLimits.TooLarge(maxOutputBytes), cancellationToken);
        return status;
    }

    /// <inheritdoc/>
    public ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentOutOfRangeException.ThrowIfLessThan(fence.Attempt, 1, nameof(fence));
        var entry = _entries.GetOrAdd(id, static (_, opened) => new MemoryLogEntry(opened.head, opened._storeRun, opened.maxOutputBytes, opened.time), (head, _storeRun, maxOutputBytes, time));
        return new(IsStale(entry, epoch) ? new AdoptResult(BeginStatus.StaleEpoch, default, 0) : entry.Adopt(fence));
    }

    /// <inheritdoc/>
    public ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken)
    {
        RequireTerminal(end);
        if (!_entries.TryGetValue(id, out var entry) || !entry.End(end)) return new(false);

        NoteEnd(id, entry);
        return new(true);
    }

    /// <inheritdoc/>
    public ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken)
    {
        if (end is not null) RequireTerminal(end);
        if (!_entries.TryGetValue(id, out var entry)) return new(default(LapseResult));

        var result = entry.Lapse(holder, end, out var ended);
        if (ended) NoteEnd(id, entry);
        return new(result);
    }

    /// <inheritdoc/>
    public ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken) =>
        new(_entries.TryGetValue(id, out var entry) ? entry.Hold(promise, holder) : HoldResult.Unknown);

    /// <inheritdoc/>
    public ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken) => new(Head(id));

    /// <inheritdoc/>
    public async IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(id, out var entry)) throw Expired(id);

        var batch = new List<RequestEvent>();
        for (var read = afterSequence; ;)
        {
            batch.Clear();
            if (!entry.TryRead(read, batch, out var more)) yield break;
            await more.WaitAsync(cancellationToken);
            foreach (var next in batch)
            {
                yield return new LoggedEvent(++read, next);
                if (next.IsTerminal) yield break;
            }
        }
    }

    /// <inheritdoc/>
    public void Forget(RequestId id, string holder)
    {
        if (_entries.TryGetValue(id, out var entry) && entry.IsOwedOnlyTo(holder)) _entries.TryRemove(KeyValuePair.Create(id, entry));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A lost hint costs work, not truth: the worker's next append is refused. So the channel may drop.
        var channel = Channel.CreateBounded<RequestId>(new BoundedChannelOptions(MaxEndHints) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
        var watchers = _watchers.GetOrAdd(model, _ => new ConcurrentDictionary<Channel<RequestId>, bool>());
        watchers[channel] = true;
        try
        {
            await foreach (var id in channel.Reader.ReadAllAsync(cancellationToken)) yield return id;
        }
        finally
        {
            watchers.TryRemove(channel, out _);
        }
    }

    private static ServingException Expired(RequestId id) =>
        new(new ServingFault(ServingError.LogExpired, $"Nothing is kept of request '{id}': it ended and its events were read or expired, or it never was. Send it again."));

    private static void RequireTerminal(RequestEvent end)
    {
        ArgumentNullException.ThrowIfNull(end);
        if (!end.IsTerminal) throw new ArgumentException($"{end.GetType().Name} does not end a request; give Finished, Failed or Cancelled.", nameof(end));
    }

    private bool IsStale(MemoryLogEntry entry, long epoch) => epoch < _epochs.AddOrUpdate(entry.Head.Model, epoch, (_, seen) => Math.Max(seen, epoch));

    private void NoteEnd(RequestId id, MemoryLogEntry entry)
    {
        Retain(id, entry, entry.Head.Deadline);
        if (!_watchers.TryGetValue(entry.Head.Model, out var watchers)) return;
        foreach (var watcher in watchers.Keys) watcher.Writer.TryWrite(id);
    }

    private void Retain(RequestId id, MemoryLogEntry entry, DateTimeOffset until)
    {
        var bytes = entry.Bytes;
        Interlocked.Add(ref _endedBytes, bytes);
        _ended.Enqueue((id, until + KeptBeyondDeadline, bytes));

        var now = time.GetUtcNow();
        while (_ended.TryPeek(out var oldest) && (_ended.Count > MaxEnded || (_ended.Count > 1 && Interlocked.Read(ref _endedBytes) > MaxEndedBytes) || oldest.KeepUntil <= now || !_entries.ContainsKey(oldest.Id)))
        {
            if (!_ended.TryDequeue(out var gone)) continue;
            Interlocked.Add(ref _endedBytes, -gone.Bytes);
            _entries.TryRemove(gone.Id, out _);
        }
    }
}
