using Microsoft.Extensions.Time.Testing;

namespace Serverless;

/// <summary>The clock of tests: it stands still until a test advances it.</summary>
/// <remarks>
/// <see cref="FakeTimeProvider"/> fires what is due on whichever thread reads it or sets a timer first. Where that thread is held up after the callback of a periodic timer,
/// the timer is put off by whatever the test has advanced since: a tick is lost, and with it the test that waits for what the tick does. Timers of this clock set their next tick before their callback,
/// and a test that advances in a loop waits for what other threads fire: it would keep them at it for ever. Theirs are not thread-safe either: one that is disposed of while it is changed
/// has a waiter without a callback, which throws in whoever advances the time. Those below are never disposed of, and know themselves whether they are due.
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
        private bool _disposed;

        public TestTimer(TestClock clock, TimerCallback callback, object? state)
        {
            (_clock, _callback, _state) = (clock, callback, state);
            _next = clock.CreateSingle(Fire);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (_lock)
            {
                if (_disposed) return false;
                (_due, _period) = (dueTime < TimeSpan.Zero ? DateTimeOffset.MaxValue : _clock.GetUtcNow() + dueTime, period);
            }

            _next.Change(dueTime, Timeout.InfiniteTimeSpan);
            return true;
        }

        public void Dispose()
        {
            lock (_lock)
            {
                if (_disposed) return;
                (_disposed, _due) = (true, DateTimeOffset.MaxValue);
            }

            _next.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Fire()
        {
            Interlocked.Increment(ref _clock._firing);
            _firingHere++;
            try
            {
                if (!TryTake(out var wait)) return;
                if (wait is { } next) _next.Change(next, Timeout.InfiniteTimeSpan);
                _callback(_state);
            }
            finally
            {
                _firingHere--;
                Interlocked.Decrement(ref _clock._firing);
            }
        }

        /// <summary>Whether it is due, and how long it is to the tick after this one, of a periodic timer. A timer that was changed or disposed of meanwhile is not.</summary>
        private bool TryTake(out TimeSpan? wait)
        {
            var now = _clock.GetUtcNow();
            lock (_lock)
            {
                wait = null;
                if (now < _due) return false;
                _due = _period > TimeSpan.Zero ? _due + _period : DateTimeOffset.MaxValue;
                if (_period > TimeSpan.Zero) wait = _due > now ? _due - now : TimeSpan.Zero;
                return true;
            }
        }
    }
}
