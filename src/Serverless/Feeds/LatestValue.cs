using System.Runtime.CompilerServices;

namespace Serverless.Feeds;

/// <summary>A value of which only the latest counts, and those who wait for the next. Thread-safe.</summary>
public sealed class LatestValue<T>
    where T : class
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _value;

    /// <summary>The latest, or null before the first.</summary>
    public T? Value => Volatile.Read(ref _value);

    /// <summary>Replaces it and wakes those who wait.</summary>
    public void Set(T value)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            Volatile.Write(ref _value, value);
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    /// <summary>The value now (if any), and what ends when it is replaced.</summary>
    public (T? Value, Task Changed) Look()
    {
        lock (_lock) return (_value, _changed.Task);
    }

    /// <summary>The value now (if any) and whenever it changes; a slow reader sees only the latest.</summary>
    public async IAsyncEnumerable<T> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        T? seen = null;
        while (true)
        {
            var (value, changed) = Look();
            if (value is not null && !ReferenceEquals(value, seen)) yield return seen = value;
            else await changed.WaitAsync(cancellationToken);
        }
    }
}
