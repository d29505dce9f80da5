using Serverless.Errors;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>
/// (f) What one attempt says, on its way to the log, in order and fenced. All of it is kept until the attempt ends: while the store is away it is written again, and a store that
/// came back with less gets the rest once the dispatcher has asserted the attempt there. Adding and writing are its attempt's; <see cref="Refence"/> is anybody's.
/// </summary>
internal sealed class AttemptLog(IRequestLog log, Assignment assignment, Func<CancellationToken, ValueTask> ask, TimeProvider time)
{
    private const int MaxBatch = 64;

    /// <summary>Chunks of one event, at most: what an engine has ready at once, or gives while an earlier write is under way, is one record.</summary>
    private const int MaxChunksOfEvent = 64;

    /// <summary>Chunks and other events that may be ahead of the log: then the attempt's generation pauses.</summary>
    private const int MaxUnwritten = 1024;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    /// <summary>How long an answer to a question is waited for before it is asked again: the dispatcher may have gone with it.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly List<RequestEvent> _events = [];
    private int _written;
    private int _sealed;
    private int _unwritten;
    private long _next = assignment.LastSequence + 1;
    private Fence _fence = assignment.Fence;
    private bool _holdsEarlier;
    private Task<AppendStatus>? _writing;
    private DispatcherMessage.Refence? _offer;
    private TaskCompletionSource? _offered;

    /// <summary>Output tokens of the request, those of earlier attempts included.</summary>
    public int OutputTokens { get; private set; } = assignment.Output.Sum(chunk => chunk.TokenIds.Count);

    /// <summary>What the output takes in memory, about, that of earlier attempts included.</summary>
    public long OutputBytes { get; private set; } = assignment.Output.Sum(LogLimits.SizeOf);

    /// <summary>Whether its engine has begun to answer: the prompt is prefilled.</summary>
    public bool HasOutput { get; private set; }

    /// <summary>How it ended by its engine; null until then.</summary>
    public RequestOutcome? How { get; private set; }

    /// <summary>What it took; null until its engine has ended it.</summary>
    public TokenUsage? Usage { get; private set; }

    /// <summary>Whether a write is under way.</summary>
    public bool IsWriting => _writing is not null;

    /// <summary>Whether the log itself failed: nothing can be said through it.</summary>
    public bool Failed { get; private set; }

    /// <summary>What the log is known to hold.</summary>
    public long LastSequence
    {
        get
        {
            lock (_lock) return _next - 1;
        }
    }

    /// <summary>The store's run of the fence it writes with.</summary>
    public string StoreRun
    {
        get
        {
            lock (_lock) return _fence.StoreRun;
        }
    }

    /// <summary>Chunks and other events ahead of the log.</summary>
    public int Unwritten
    {
        get
        {
            lock (_lock) return _unwritten;
        }
    }

    public void Add(RequestEvent next)
    {
        lock (_lock)
        {
            _unwritten += Count(next);

            // What a write may have shown to the log stays as it is: it is written again just so.
            if (next is RequestEvent.Chunk more && _events.Count > _sealed && _events[^1] is RequestEvent.Chunk last && last.Choices.Count + more.Choices.Count <= MaxChunksOfEvent)
                _events[^1] = new RequestEvent.Chunk([.. last.Choices, .. more.Choices]);
            else
                _events.Add(next);
        }

        if (next is RequestEvent.Finished finished) (How, Usage) = (RequestOutcome.Finished, finished.Usage);
        if (next is RequestEvent.Failed) How = RequestOutcome.Failed;
        if (next is not RequestEvent.Chunk chunk) return;
        HasOutput = true;
        foreach (var choice in chunk.Choices)
        {
            OutputTokens += choice.TokenIds.Count;
            OutputBytes += LogLimits.SizeOf(choice);
        }
    }

    /// <summary>The dispatcher has asserted the attempt; where the store's run is another, what it lost is written again.</summary>
    public void Refence(DispatcherMessage.Refence refence)
    {
        TaskCompletionSource? waiting;
        lock (_lock)
        {
            _offer = refence;
            waiting = _offered;
            _offered = null;
        }

        waiting?.TrySetResult();
    }

    /// <summary>
    /// Writes while the engine moves on, and returns once it has moved and may be asked for more. Anything but <see cref="AppendStatus.Accepted"/> means that this attempt has
    /// nothing more to say.
    /// </summary>
    public async ValueTask<AppendStatus> WriteWhileAsync(Task moving, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (_writing is null && Unwritten > 0)
            {
                var write = WriteAsync(cancellationToken);
                if (write.IsCompletedSuccessfully)
                {
                    var written = await write;
                    if (written != AppendStatus.Accepted) return written;
                    continue;
                }

                _writing = write.AsTask();
            }

            if (_writing is null) return AppendStatus.Accepted;

            if (Unwritten >= MaxUnwritten) await ((Task)_writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            else await Task.WhenAny(_writing, moving);
            if (!_writing.IsCompleted) return AppendStatus.Accepted;

            var status = await TakeWritingAsync();
            if (status != AppendStatus.Accepted || moving.IsCompleted) return status;
        }
    }

    /// <summary>Writes all there is.</summary>
    public async ValueTask<AppendStatus> FlushAsync(CancellationToken cancellationToken)
    {
        var status = _writing is null ? AppendStatus.Accepted : await TakeWritingAsync();
        return status == AppendStatus.Accepted ? await WriteAsync(cancellationToken) : status;
    }

    /// <summary>Waits for a write under way; its attempt was stopped before.</summary>
    public async ValueTask SettleAsync()
    {
        if (_writing is not null) await ((Task)_writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static int Count(RequestEvent logged) => logged is RequestEvent.Chunk chunk ? chunk.Choices.Count : 1;

    private async ValueTask<AppendStatus> TakeWritingAsync()
    {
        var writing = _writing!;
        _writing = null;
        return await writing;
    }

    private async ValueTask<AppendStatus> WriteAsync(CancellationToken cancellationToken)
    {
        try
        {
            var backoff = new Backoff(FirstPause, LongestPause);
            while (true)
            {
                try
                {
                    if (await WriteBatchAsync(cancellationToken) is { } end) return end;
                    backoff.Reset();
                }
                catch (ServingException exception) when (exception.Fault.Error == ServingError.StoreUnavailable)
                {
                    await Task.Delay(backoff.Next(), time, cancellationToken);
                }
            }
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            Failed = true;
            throw;
        }
    }

    /// <summary>Writes once. Null: there may be more to write.</summary>
    private async ValueTask<AppendStatus?> WriteBatchAsync(CancellationToken cancellationToken)
    {
        RequestEvent[] batch;
        lock (_lock)
        {
            batch = [.. _events.Skip(_written).Take(MaxBatch)];
            _sealed = Math.Max(_sealed, _written + batch.Length);
        }

        if (batch.Length == 0) return AppendStatus.Accepted;

        var status = await log.AppendAsync(assignment.Request.Id, _fence, _next, batch, cancellationToken);
        switch (status)
        {
            case AppendStatus.Accepted:
                lock (_lock) (_written, _unwritten, _next) = (_written + batch.Length, _unwritten - batch.Sum(Count), _next + batch.Length);
                return null;

            // The store lost something. What a connection promised and nobody knows any more, its holder submits again.
            case AppendStatus.StoreChanged or AppendStatus.Gap:
            case AppendStatus.Unknown when assignment.Request.Promise == Promise.Id:
                await ResumeAsync(await AskAsync(status, cancellationToken), cancellationToken);
                return null;
            default:
                return status;
        }
    }

    /// <summary>Waits for the dispatcher, this one or the next, to assert the attempt.</summary>
    private async ValueTask<DispatcherMessage.Refence> AskAsync(AppendStatus why, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task offered;
            lock (_lock)
            {
                // One that came unasked, with a take-over, may tell of the store's new run already.
                if (_offer is { } offer && (why != AppendStatus.StoreChanged || offer.Fence.StoreRun != _fence.StoreRun))
                {
                    _offer = null;
                    return offer;
                }

                offered = (_offered ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            await ask(cancellationToken);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await Task.WhenAny(offered, Task.Delay(AnswerLimit, time, limit.Token));
            await limit.CancelAsync();
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Goes on from what the store holds. It lost a tail: so as many chunks as it has are the first of ours.</summary>
    private async ValueTask ResumeAsync(DispatcherMessage.Refence refence, CancellationToken cancellationToken)
    {
        var held = await CountChunksAsync(refence.LastSequence, cancellationToken);
        lock (_lock)
        {
            if (!_holdsEarlier)
            {
                _events.InsertRange(0, assignment.Output.Select(chunk => new RequestEvent.Chunk([chunk])));
                _sealed += assignment.Output.Count;
            }

            _holdsEarlier = true;

            _written = 0;
            while (held > 0 && _written < _events.Count) held -= _events[_written++] is RequestEvent.Chunk chunk ? chunk.Choices.Count : 0;
            _unwritten = _events.Skip(_written).Sum(Count);
            (_fence, _next) = (refence.Fence, refence.LastSequence + 1);
        }
    }

    private async ValueTask<int> CountChunksAsync(long lastSequence, CancellationToken cancellationToken)
    {
        var chunks = 0;
        if (lastSequence == 0) return chunks;

        await foreach (var logged in log.FollowAsync(assignment.Request.Id, 0, cancellationToken))
        {
            if (logged.Event is RequestEvent.Chunk chunk) chunks += chunk.Choices.Count;
            if (logged.Sequence >= lastSequence) break;
        }

        return chunks;
    }
}
