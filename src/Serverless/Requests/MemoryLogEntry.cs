namespace Serverless.Requests;

/// <summary>One request's log in memory. Thread-safe.</summary>
internal sealed class MemoryLogEntry(LogHead head, string storeRun, long maxOutputBytes, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly List<RequestEvent> _events = new(4);

    /// <summary>Who holds it beside the one in the head, the latest first.</summary>
    private readonly List<string> _others = [];
    private TaskCompletionSource? _more;
    private Guid _nonce;
    private string? _adoptedFrom;
    private int _attempt;
    private int _withoutProgress;
    private bool _progressed = true;
    private bool _accepted;
    private bool _ended;
    private DateTimeOffset? _endedAt;
    private bool _endedFromOutside;
    private long _bytes;

    public LogHead Head { get; private set; } = head;

    public LogHead ReadHead()
    {
        lock (_lock) return Head with { Attempts = _attempt, Ended = _ended, EndedAt = _endedAt };
    }

    public LogAttempts Attempts
    {
        get
        {
            lock (_lock) return new LogAttempts(_attempt, _withoutProgress, _progressed);
        }
    }

    /// <summary>What its events take in memory, about.</summary>
    public long Bytes
    {
        get
        {
            lock (_lock) return _bytes;
        }
    }

    /// <summary>Whether it has ended and was owed to connections of that holder alone.</summary>
    public bool IsOwedOnlyTo(string holder)
    {
        lock (_lock) return _ended && Head is { Promise: Promise.Connection, Resumable: false } && Head.Holder == holder && _others.Count == 0;
    }

    /// <summary>Only before anyone else has it.</summary>
    public void Restore(LogAttempts attempts, IReadOnlyList<RequestEvent> events)
    {
        (_attempt, _withoutProgress, _progressed) = (attempts.Count, attempts.WithoutProgress, attempts.Progressed);
        _events.AddRange(events);
        _bytes = events.Sum(LogLimits.SizeOf);
        _accepted = _ended = _endedFromOutside = events.Count > 0;
        _endedAt = Head.EndedAt;
    }

    public bool Accept(DateTimeOffset at)
    {
        TaskCompletionSource? wake;
        lock (_lock)
        {
            if (_accepted || _ended) return false;
            _accepted = true;
            _events.Add(new RequestEvent.Accepted(at));
            wake = TakeWaiterNeedsLock();
        }

        wake?.SetResult();
        return true;
    }

    public BeginResult Begin(Guid nonce)
    {
        lock (_lock)
        {
            if (_ended) return BeginResult.Refused(BeginStatus.Ended);

            _accepted = true;
            if (_attempt == 0 || nonce != _nonce)
            {
                _withoutProgress = _progressed ? 0 : _withoutProgress + 1;
                _progressed = false;
                _nonce = nonce;
                _attempt++;
                _adoptedFrom = null;
            }

            var output = _attempt == 1 ? [] : _events.OfType<RequestEvent.Chunk>().SelectMany(chunk => chunk.Choices).ToArray();
            return new BeginResult(BeginStatus.Begun, new Fence(storeRun, _attempt), _events.Count, output, _withoutProgress);
        }
    }

    public AdoptResult Adopt(Fence fence)
    {
        lock (_lock)
        {
            if (_ended) return new AdoptResult(BeginStatus.Ended, default, _events.Count);

            // Of the same number, but given by a store before this one: another attempt.
            var isAnother = fence.Attempt == _attempt && !string.IsNullOrEmpty(fence.StoreRun) && fence.StoreRun != storeRun && fence.StoreRun != _adoptedFrom;
            if (fence.Attempt < _attempt || isAnother) return new AdoptResult(BeginStatus.Superseded, default, _events.Count);

            if (fence.Attempt > _attempt) _adoptedFrom = fence.StoreRun;
            _attempt = fence.Attempt;
            return new AdoptResult(BeginStatus.Begun, new Fence(storeRun, _attempt), _events.Count);
        }
    }

    public HoldResult Hold(Promise promise, string holder)
    {
        lock (_lock)
        {
            if (_ended) return HoldResult.Ended;
            if (promise == Promise.Id) _others.Clear();
            else if (Head.Promise == Promise.Id || Head.Holder == holder) return HoldResult.Held;
            else AddOtherNeedsLock(holder);
            Head = Head with { Promise = promise, Holder = holder };
            return HoldResult.Held;
        }
    }

    /// <summary>Ends it if <paramref name="holder"/> alone holds it; <paramref name="ended"/> tells whether this call did.</summary>
    public LapseResult Lapse(string holder, RequestEvent? end, out bool ended)
    {
        TaskCompletionSource? wake;
        ended = false;
        lock (_lock)
        {
            if (_ended) return new LapseResult(true, null);
            if (Head.Promise == Promise.Connection) RemoveNeedsLock(holder);
            if (end is null || Head.Promise == Promise.Id || Head.Holder != holder) return new LapseResult(false, Head.Holder);

            ended = true;
            EndFromOutsideNeedsLock(end);
            wake = TakeWaiterNeedsLock();
        }

        wake?.SetResult();
        return new LapseResult(true, null);
    }

    public AppendStatus Append(Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, out bool ended)
    {
        TaskCompletionSource? wake;
        ended = false;
        lock (_lock)
        {
            if (fence.StoreRun != storeRun) return _ended ? AppendStatus.Ended : fence.Attempt < _attempt ? AppendStatus.Fenced : AppendStatus.StoreChanged;
            if (fence.Attempt != _attempt) return AppendStatus.Fenced;
            if (fromSequence > _events.Count + 1) return AppendStatus.Gap;

            // What stands at the sequence of an end from outside is no repeat of this attempt's event.
            if (_endedFromOutside && fromSequence + events.Count > _events.Count) return AppendStatus.Ended;

            var known = (int)(_events.Count + 1 - fromSequence);
            if (known >= events.Count) return AppendStatus.Accepted;
            if (_ended) return AppendStatus.Ended;

            var added = events.Skip(known).Sum(LogLimits.SizeOf);
            if (_bytes + added > maxOutputBytes && events.Skip(known).Any(logged => logged is RequestEvent.Chunk)) return AppendStatus.TooLarge;

            _bytes += added;
            for (var i = known; i < events.Count && !ended; i++)
            {
                _events.Add(events[i]);
                _progressed |= events[i] is RequestEvent.Chunk;
                ended = _ended = events[i].IsTerminal;
            }

            if (ended) _endedAt = time.GetUtcNow();

            wake = TakeWaiterNeedsLock();
        }

        wake?.SetResult();
        return AppendStatus.Accepted;
    }

    public bool End(RequestEvent end)
    {
        TaskCompletionSource? wake;
        lock (_lock)
        {
            if (_ended) return false;
            EndFromOutsideNeedsLock(end);
            wake = TakeWaiterNeedsLock();
        }

        wake?.SetResult();
        return true;
    }

    /// <summary>Copies some of what follows <paramref name="afterSequence"/>; false if nothing ever will. Where nothing does yet, <paramref name="more"/> completes when something may.</summary>
    public bool TryRead(long afterSequence, List<RequestEvent> into, out Task more)
    {
        lock (_lock)
        {
            more = Task.CompletedTask;
            for (var i = (int)Math.Min(afterSequence, _events.Count); i < _events.Count && into.Count < LogLimits.EventsAtOnce; i++) into.Add(_events[i]);
            if (into.Count > 0) return true;
            if (_ended) return false;
            more = (_more ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            return true;
        }
    }

    private void EndFromOutsideNeedsLock(RequestEvent end)
    {
        _ended = _endedFromOutside = true;
        _endedAt = time.GetUtcNow();
        _events.Add(end);
    }

    private void AddOtherNeedsLock(string holder)
    {
        _others.Remove(holder);
        if (Head.Holder.Length > 0) _others.Insert(0, Head.Holder);
    }

    /// <summary>The last one stays.</summary>
    private void RemoveNeedsLock(string holder)
    {
        if (_others.Remove(holder) || Head.Holder != holder || _others.Count == 0) return;

        Head = Head with { Holder = _others[0] };
        _others.RemoveAt(0);
    }

    private TaskCompletionSource? TakeWaiterNeedsLock()
    {
        var wake = _more;
        _more = null;
        return wake;
    }
}
