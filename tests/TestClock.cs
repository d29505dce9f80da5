using Microsoft.Extensions.Time.Testing;

namespace Serverless;

/// <summary>The clock of tests: it stands still until a test advances it.</summary>
/// <remarks>
/// <see cref="FakeTimeProvider"/> fires what is due on whichever thread reads it or sets a timer first. Where that thread is held up after the callback of a periodic timer,
/// the timer is put off by whatever the test has advanced since: a tick is lost, and with it the test that waits for what the tick does. Timers of this clock set their next tick before their callback,
/// and a test that advances in a loop waits for what other threads fire: it would keep them at it for ever.
/// </remarks>
internal sealed class TestClock(DateTimeOffset start) : FakeTimeProvider(start)
{
    public TestClock() : this(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero))
    {
    }

    [ThreadStatic]
    private static int _firingHere;

    private int _firing;

    /// <summary>Lets time pass. What was due has been called back when this returns, on whichever thread.</summary>
    public new void Advance(TimeSpan delta)
    {
        base.Advance(delta);
        while (Volatile.Read(ref _firing) > _firingHere) Thread.Yield();
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new TestTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private ITimer CreateSingle(Action callback) => base.CreateTimer(_ => callback(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    private sealed class TestTimer : ITimer
    {
        private readonly Lock _lock = new();
        private readonly TestClock _clock;
        private readonly TimerCallback _callback;
        private readonly object? _state;
        private readonly ITimer _next;
        private DateTimeOffset _due;
        private TimeSpan _period;

        public TestTimer(TestClock clock, TimerCallback callback, object? state)
        {
            (_clock, _callback, _state) = (clock, callback, state);
            _next = clock.CreateSingle(Fire);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            var due = dueTime < TimeSpan.Zero ? DateTimeOffset.MaxValue : _clock.GetUtcNow() + dueTime;
            lock (_lock) (_due, _period) = (due, period);
            return _next.Change(dueTime, Timeout.InfiniteTimeSpan);
        }

        public void Dispose() => _next.Dispose();

        public ValueTask DisposeAsync() => _next.DisposeAsync();

        private void Fire()
        {
            Interlocked.Increment(ref _clock._firing);
            _firingHere++;
            try
            {
                if (TakeNext() is { } wait) _next.Change(wait, Timeout.InfiniteTimeSpan);
                _callback(_state);
            }
            finally
            {
                _firingHere--;
                Interlocked.Decrement(ref _clock._firing);
            }
        }

        /// <summary>How long it is to the tick after this one, of a periodic timer.</summary>
        private TimeSpan? TakeNext()
        {
            var now = _clock.GetUtcNow();
            lock (_lock)
            {
                if (_period <= TimeSpan.Zero || _due == DateTimeOffset.MaxValue) return null;
                _due += _period;
                var wait = _due - now;
                return wait > TimeSpan.Zero ? wait : TimeSpan.Zero;
            }
        }
    }
}
