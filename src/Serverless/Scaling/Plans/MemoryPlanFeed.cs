using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Serverless.Catalog;
using Serverless.Feeds;

namespace Serverless.Scaling.Plans;

/// <summary>The plan within one process. Thread-safe.</summary>
public sealed class MemoryPlanFeed : IPlanFeed
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ModelName, SharedPlan> _plans = [];
    private ImmutableArray<PendingChanges<ModelName, SharedPlan?>> _readers = [];
    private (long Epoch, long Sequence, DateTimeOffset At) _head;

    /// <inheritdoc/>
    public ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> plans, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plans);
        lock (_lock)
        {
            if (epoch < _head.Epoch) return new(false);

            _head = (epoch, _head.Sequence + 1, at);
            foreach (var plan in plans) _plans[plan.Model] = plan;
            foreach (var reader in _readers)
            {
                foreach (var plan in plans) reader.Put(plan.Model, plan);
                if (plans.Count == 0) reader.Put(default, null);
            }
        }

        return new(true);
    }

    /// <inheritdoc/>
    public ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken)
    {
        lock (_lock) return new(_head.Sequence == 0 ? null : new PlanUpdate(_head.Epoch, _head.Sequence, _head.At, [.. _plans.Values]));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PlanUpdate> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = new PendingChanges<ModelName, SharedPlan?>();
        ImmutableInterlocked.Update(ref _readers, readers => readers.Add(changes));
        try
        {
            if (await ReadAsync(cancellationToken) is { } whole) yield return whole;
            await foreach (var taken in changes.TakeAllAsync(cancellationToken))
            {
                PlanUpdate update;
                lock (_lock) update = new PlanUpdate(_head.Epoch, _head.Sequence, _head.At, [.. taken.Values.OfType<SharedPlan>()]);
                yield return update;
            }
        }
        finally
        {
            ImmutableInterlocked.Update(ref _readers, readers => readers.Remove(changes));
        }
    }
}
