namespace Serverless.Loops;

/// <summary>
/// For loops with a period: the system's time, but timers that repeat every second or more slowly fire together, once a second, at a moment that each process draws for itself. A process wakes
/// once and does all that is due, instead of once for each of its loops: an idle one is cheap, and processes do not ask their stores in step.
/// </summary>
/// <remarks>
/// A first tick comes up to a second earlier than asked for, never later; the period stays what it is. Timers that fire once, repeat faster or are due within a second are the system's own. Thread-safe.
/// </remarks>
public static class AlignedTime
{
    private const long Step = 1000; // ms

    private static readonly Provider Instance = new();
    private static readonly long Phase = Random.Shared.NextInt64(Step);

#pragma warning disable RS0030 // the clock that the system's timers go by: another's milliseconds end elsewhere
    private static long Now => Environment.TickCount64;
#pragma warning restore RS0030

    /// <summary>The same time, whose slow periodic timers fire together; a clock of tests stays itself.</summary>
    public static TimeProvider Aligned(this TimeProvider time) => ReferenceEquals(time, TimeProvider.System) ? Instance : time;

    /// <summary>When a timer that is made at <paramref name="now"/> (milliseconds since the machine started) is due first.</summary>
    internal static TimeSpan Align(TimeSpan dueTime, TimeSpan period, long now)
    {
        if (dueTime.TotalMilliseconds < Step || period.TotalMilliseconds < Step) return dueTime; // Timeout.InfiniteTimeSpan is negative
        var due = now + (long)dueTime.TotalMilliseconds;
        return TimeSpan.FromMilliseconds(due - ((due - Phase) % Step) - now);
    }

    private sealed class Provider : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            new AlignedTimer(System.CreateTimer(callback, state, Align(dueTime, period, Now), period));
    }

    private sealed class AlignedTimer(ITimer timer) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(Align(dueTime, period, Now), period);

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
