namespace Serverless;

/// <summary>The clock of tests: it stands still until a test advances it. Thread-safe.</summary>
/// <remarks>
/// What is due is called back by whoever advances the time, one after another in the order in which it was due. <c>FakeTimeProvider</c> has it called back by whichever thread reads the clock, and its timers
/// are not thread-safe: a tick is lost where that thread is held up, and all that come after it where a callback throws, as it does when its timer is disposed of meanwhile.
/// </remarks>
internal sealed class TestClock(DateTimeOffset start) : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly Lock _callingBack = new(); // a callback may advance the time itself
    private readonly PriorityQueue<(TestTimer Timer, long Version), (long Due, long Order)> _due = new();
    private DateTimeOffset _now = start; // on the wall
    private long _elapsed = start.Ticks; // what timers go by
    private long _order;

    public TestClock() : this(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero))
    {
    }

    public override TimeZoneInfo LocalTimeZone => Zone;

    /// <summary>Where it hangs.</summary>
    public TimeZoneInfo Zone { get; init; } = TimeZoneInfo.Utc;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        Stutter.Now();
        lock (_lock) return _now;
    }

    public override long GetTimestamp()
    {
        Stutter.Now();
        lock (_lock) return _elapsed;
    }

    /// <summary>Lets time pass. What was due has been called back when this returns.</summary>
    public void Advance(TimeSpan delta)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(delta, TimeSpan.Zero);
        lock (_lock)
        {
            _now += delta;
            _elapsed += delta.Ticks;
        }

        lock (_callingBack)
        {
            while (TryTakeDue(out var timer)) timer.CallBack();
        }
    }

    /// <summary>Lets time pass until then.</summary>
    public void AdvanceTo(DateTimeOffset then) => Advance(then - GetUtcNow());

    /// <summary>Sets the clock on the wall, back as well. No time passes: timers are due when they were.</summary>
    public void Set(DateTimeOffset now)
    {
        lock (_lock) _now = now;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new TestTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private bool TryTakeDue(out TestTimer timer)
    {
        lock (_lock)
        {
            while (_due.TryPeek(out var next, out var at) && at.Due <= _elapsed)
            {
                _due.Dequeue();
                timer = next.Timer;
                if (timer.Version != next.Version) continue; // changed or disposed of since
                if (timer.Period > TimeSpan.Zero) Enqueue(timer, at.Due + timer.Period.Ticks);
                return true;
            }
        }

        timer = null!;
        return false;
    }

    private void Enqueue(TestTimer timer, long due) => _due.Enqueue((timer, timer.Version), (due, _order++));

    private sealed class TestTimer(TestClock clock, TimerCallback callback, object? state) : ITimer
    {
        private bool _disposed;

        public long Version { get; private set; }

        public TimeSpan Period { get; private set; }

        public void CallBack() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Stutter.Now();
            lock (clock._lock)
            {
                if (_disposed) return false;
                Version++;
                Period = period;
                if (dueTime > TimeSpan.Zero) clock.Enqueue(this, clock._elapsed + dueTime.Ticks);
                else if (dueTime == TimeSpan.Zero && period > TimeSpan.Zero) clock.Enqueue(this, clock._elapsed + period.Ticks);
            }

            if (dueTime == TimeSpan.Zero) CallBack(); // at once, whether or not the time is advanced again
            return true;
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                _disposed = true;
                Version++;
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
