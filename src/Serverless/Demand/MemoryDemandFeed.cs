using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Serverless.Catalog;
using Serverless.Feeds;

namespace Serverless.Demand;

/// <summary>Demand within one process.</summary>
public sealed class MemoryDemandFeed : IDemandFeed
{
    private readonly ConcurrentDictionary<ModelName, LatestValue<ModelDemand>> _models = new();
    private ImmutableArray<PendingChanges<ModelName, ModelDemand>> _readers = [];

    /// <inheritdoc/>
    public void Publish(ModelDemand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        Of(demand.Model).Set(demand);
        foreach (var reader in _readers) reader.Put(demand.Model, demand);
    }

    /// <inheritdoc/>
    public ModelDemand? Latest(ModelName model) => Of(model).Value;

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => Of(model).WatchAsync(cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = new PendingChanges<ModelName, ModelDemand>();
        ImmutableInterlocked.Update(ref _readers, readers => readers.Add(changes));
        try
        {
            foreach (var model in _models.Values)
            {
                if (model.Value is { } demand) changes.Put(demand.Model, demand);
            }

            await foreach (var taken in changes.TakeAllAsync(cancellationToken)) yield return [.. taken.Values];
        }
        finally
        {
            ImmutableInterlocked.Update(ref _readers, readers => readers.Remove(changes));
        }
    }

    private LatestValue<ModelDemand> Of(ModelName model) => _models.GetOrAdd(model, _ => new LatestValue<ModelDemand>());
}
