using System.Runtime.CompilerServices;

namespace Serverless.Feeds;

/// <summary>What changed since it was last taken, the latest of each key; it holds no more than there are keys, however slow its reader. One reader; thread-safe.</summary>
public sealed class PendingChanges<TKey, TValue>
    where TKey : notnull
{
    private readonly Lock _lock = new();
    private Dictionary<TKey, TValue> _pending = [];
    private TaskCompletionSource? _waiting;

    /// <summary>Puts a change, in the place of an earlier one of that key. Never blocks.</summary>
    public void Put(TKey key, TValue value)
    {
        TaskCompletionSource? waiting;
        lock (_lock)
        {
            _pending[key] = value;
            (waiting, _waiting) = (_waiting, null);
        }

        waiting?.SetResult();
    }

    /// <summary>Takes all there is, as soon as there is something, until cancelled.</summary>
    public async IAsyncEnumerable<IReadOnlyDictionary<TKey, TValue>> TakeAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            Dictionary<TKey, TValue>? taken = null;
            Task changed = Task.CompletedTask;
            lock (_lock)
            {
                if (_pending.Count > 0) (taken, _pending) = (_pending, []);
                else changed = (_waiting ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            if (taken is not null) yield return taken;
            else await changed.WaitAsync(cancellationToken);
        }
    }
}
