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
    private readonly ConcurrentDictionary<ModelName, ModelDemand> _withdrawn = new();
    private ImmutableArray<PendingChanges<ModelName, ModelDemand>> _readers = [];
    private long _renewedAt;

    /// <inheritdoc/>
    public void Publish(ModelDemand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        Of(demand.Model).Set(demand);
        foreach (var reader in _readers) reader.Put(demand.Model, demand);
    }

    /// <inheritdoc/>
    public void Renew(DateTimeOffset now) => Interlocked.Exchange(ref _renewedAt, now.UtcTicks);

    /// <inheritdoc/>
    public void Withdraw(ModelName model)
    {
        if (Latest(model) is not { } last) return;
        Of(model).Set(last);
        _withdrawn[model] = last;
    }

    /// <inheritdoc/>
    public ModelDemand? Latest(ModelName model)
    {
        if (Of(model).Value is not { } demand) return null;

        var renewedAt = new DateTimeOffset(Interlocked.Read(ref _renewedAt), TimeSpan.Zero);
        var standsFor = !_withdrawn.TryGetValue(model, out var withdrawn) || !ReferenceEquals(withdrawn, demand);
        return standsFor && renewedAt > demand.At ? demand with { At = renewedAt } : demand;
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => Of(model).WatchAsync(cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = new PendingChanges<ModelName, ModelDemand>();
        ImmutableInterlocked.Update(ref _readers, readers => readers.Add(changes));
        try
        {
            foreach (var model in _models.Keys)
            {
                if (Latest(model) is { } demand) changes.Put(model, demand);
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
