using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Requests;

namespace Serverless.Hosting.Redis.Log;

/// <summary>
/// One reader of one log: takes records from hints while these leave no gap, and reads the log itself where they do. Its state is its reader's alone, but for the hints and
/// what <see cref="RedisFollowers"/> asks.
/// </summary>
internal sealed class RedisFollower : IDisposable
{
    private const int MaxHints = 64;

    // A log that vanished with the store's data comes back when its dispatcher adopts the attempt or its holder submits it again.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly RedisFollowers _owner;
    private readonly TimeProvider _time;
    private readonly long _after;
    private readonly Lock _lock = new();
    private readonly Queue<RedisHint> _hints = new();
    private TaskCompletionSource? _waiter;
    private CancellationTokenRegistration _cancellation;
    private string _run = "";
    private long _read;
    private long _heardAt;
    private long? _missingSince;
    private bool _paused;
    private bool _ended;
    private volatile bool _mustRead = true;

    public RedisFollower(RedisFollowers owner, RequestId id, long after, TimeProvider time, CancellationToken cancellationToken)
    {
        (_owner, Id, _after, _read, _time, _heardAt) = (owner, id, after, after, time, time.GetTimestamp());
        _cancellation = cancellationToken.UnsafeRegister(static follower => ((RedisFollower)follower!).Wake(), this);
    }

    public RequestId Id { get; }

    /// <summary>The run of the server it last read from.</summary>
    public string Run => Volatile.Read(ref _run);

    /// <summary>The last sequence it gave.</summary>
    public long Read => Volatile.Read(ref _read);

    /// <summary>Before it is read: its log was opened in that run of the server and nothing has been appended since.</summary>
    public void BeginEmpty(string run)
    {
        Volatile.Write(ref _run, run);
        _mustRead = false;
    }

    /// <summary>Whether it has heard nothing for so long, and its reader waits.</summary>
    public bool IsSilent(TimeSpan limit)
    {
        lock (_lock) return _waiter is not null && (_mustRead || _time.GetElapsedTime(_heardAt) >= limit);
    }

    public void Offer(in RedisHint hint)
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            _heardAt = _time.GetTimestamp();
            if (_hints.Count < MaxHints)
            {
                _hints.Enqueue(hint);
            }
            else
            {
                // Its reader is slower than the log: the log keeps for it what it has no room for.
                _hints.Clear();
                _mustRead = true;
            }

            (waiter, _waiter) = (_waiter, null);
        }

        waiter?.TrySetResult();
    }

    /// <summary>Makes it look at the log itself.</summary>
    public void Reread()
    {
        _mustRead = true;
        Wake();
    }

    /// <summary>What the log holds as it was found current by a sweep.</summary>
    public void Confirm()
    {
        lock (_lock) _heardAt = _time.GetTimestamp();
    }

    /// <summary>The next events, at least one; null after the end.</summary>
    public async ValueTask<List<LoggedEvent>?> NextAsync(CancellationToken cancellationToken)
    {
        var events = new List<LoggedEvent>();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_mustRead) await ReadLogAsync(events, cancellationToken);
            else TakeHints(events);
            if (events.Count > 0) return events;
            if (_ended) return null;
            await MoreAsync(cancellationToken);
        }
    }

    public void Dispose()
    {
        _owner.Remove(this);
        _cancellation.Dispose();
    }

    private void Wake()
    {
        TaskCompletionSource? waiter;
        lock (_lock) (waiter, _waiter) = (_waiter, null);
        waiter?.TrySetResult();
    }

    // Completed where there is something to do at once. A log that cannot be read or is missing is looked at again when a sweep says so.
    private Task MoreAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (cancellationToken.IsCancellationRequested) return Task.CompletedTask;
            if (_mustRead ? !_paused && _missingSince is null : _hints.Count > 0) return Task.CompletedTask;
            return (_waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    private void TakeHints(List<LoggedEvent> events)
    {
        while (!_mustRead)
        {
            RedisHint hint;
            lock (_lock)
            {
                if (!_hints.TryDequeue(out hint)) return;
            }

            // Another run may have numbered other events alike.
            if (hint.Run != _run || hint.From > _read + 1)
            {
                _mustRead = true;
                return;
            }

            var frames = hint.Frames;
            for (var sequence = hint.From; RedisHint.TryTake(ref frames, out var record); sequence++)
            {
                if (sequence > _read) Add(events, record);
            }
        }
    }

    private async ValueTask ReadLogAsync(List<LoggedEvent> events, CancellationToken cancellationToken)
    {
        _mustRead = false;
        RedisPage page;
        try
        {
            page = await _owner.ReadAsync(Id, _read, cancellationToken);
        }
        catch (ServingException) when (_run.Length > 0)
        {
            (_mustRead, _paused) = (true, true);
            return;
        }

        _paused = false;
        if (page.Last < 0)
        {
            AwaitReturn(page.Run);
            return;
        }

        _missingSince = null;
        if (_run.Length > 0 && page.Run != _run)
        {
            // What the store lost it gets again, perhaps cut otherwise: it is given again from where the caller began.
            (_run, _read, _mustRead) = (page.Run, Math.Min(_after, page.Last), true);
            return;
        }

        _run = page.Run;
        foreach (var record in page.Records) Add(events, record);
        if (_read < page.Last && page.Records.Count == 0) throw RedisFollowers.Expired(Id);
        if (_read < page.Last) _mustRead = true;
        else if (page.Ended) _ended = true;
        lock (_lock) _heardAt = _time.GetTimestamp();
    }

    private void AwaitReturn(string run)
    {
        if (_run.Length == 0 || run == _run) throw RedisFollowers.Expired(Id);

        _missingSince ??= _time.GetTimestamp();
        if (_time.GetElapsedTime(_missingSince.Value) > Grace) throw RedisFollowers.Expired(Id);
        _mustRead = true;
    }

    private void Add(List<LoggedEvent> events, ReadOnlyMemory<byte> record)
    {
        events.Add(new LoggedEvent(_read + 1, EventCodec.Decode(record)));
        Volatile.Write(ref _read, _read + 1);
    }
}
