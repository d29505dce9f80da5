using System.Runtime.CompilerServices;

namespace Serverless.Dispatching;

/// <summary>A value of which only the latest counts, and those who wait for the next. Thread-safe.</summary>
internal sealed class LatestValue<T>
    where T : class
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _value;

    public T? Value
    {
        get
        {
            lock (_lock) return _value;
        }
    }

    public void Set(T value)
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            _value = value;
            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.SetResult();
    }

    public async IAsyncEnumerable<T> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        T? seen = null;
        while (true)
        {
            T? value;
            Task changed;
            lock (_lock)
            {
                value = _value;
                changed = _changed.Task;
            }

            if (value is not null && !ReferenceEquals(value, seen)) yield return seen = value;
            else await changed.WaitAsync(cancellationToken);
        }
    }
}
