using System.Collections.Concurrent;
using Serverless.Catalog;

namespace Serverless.Dispatching;

/// <summary>Demand within one process.</summary>
public sealed class MemoryDemandFeed : IDemandFeed
{
    private readonly ConcurrentDictionary<ModelName, LatestValue<Demand>> _models = new();

    /// <inheritdoc/>
    public void Publish(Demand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        Of(demand.Model).Set(demand);
    }

    /// <inheritdoc/>
    public Demand? Latest(ModelName model) => Of(model).Value;

    /// <inheritdoc/>
    public IAsyncEnumerable<Demand> WatchAsync(ModelName model, CancellationToken cancellationToken) => Of(model).WatchAsync(cancellationToken);

    private LatestValue<Demand> Of(ModelName model) => _models.GetOrAdd(model, _ => new LatestValue<Demand>());
}
