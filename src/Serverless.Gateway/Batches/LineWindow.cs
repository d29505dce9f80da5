namespace Serverless.Gateway.Batches;

/// <summary>
/// How many lines of a batch are asked for at once: one more for each window of them that was answered, half as many where there was no room (additive increase, multiplicative decrease; Chiu and
/// Jain, 1989), at most once a second, for a burst of refusals says one thing. Thread-safe.
/// </summary>
internal sealed class LineWindow(int most, TimeProvider time)
{
    private const int First = 8;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private double _size = Math.Min(First, most);
    private long? _shrunkAt;

    /// <summary>Lines at once, now.</summary>
    public int Size
    {
        get
        {
            lock (_lock) return (int)_size;
        }
    }

    /// <summary>One was answered.</summary>
    public void Answered()
    {
        lock (_lock) _size = Math.Min(most, _size + (_size < most / 2.0 && _shrunkAt is null ? 1 : 1 / _size)); // doubles with each window until it was refused once
    }

    /// <summary>There was no room for one.</summary>
    public void PushedBack()
    {
        lock (_lock)
        {
            if (_shrunkAt is { } at && time.GetElapsedTime(at) < Pause) return;
            (_size, _shrunkAt) = (Math.Max(1, _size / 2), time.GetTimestamp());
        }
    }
}
