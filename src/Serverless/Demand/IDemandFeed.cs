using Serverless.Catalog;

namespace Serverless.Demand;

/// <summary>Port: demand from dispatchers to scalers; the latest of each model counts. In memory; Redis.</summary>
public interface IDemandFeed
{
    /// <summary>Replaces the model's demand. Never blocks, never throws.</summary>
    void Publish(ModelDemand demand);

    /// <summary>Says that all which this process has published and not withdrawn is still so: once a second, for all models at once, whether they have work or sleep. Never blocks, never throws.</summary>
    void Renew(DateTimeOffset now);

    /// <summary>Says that this process no longer speaks for the model: its demand ages from now on, until another publishes it. Never blocks, never throws.</summary>
    void Withdraw(ModelName model);

    /// <summary>The model's latest demand, or null. Its <see cref="ModelDemand.At"/> is the reader's own time.</summary>
    ModelDemand? Latest(ModelName model);

    /// <summary>Whether the latest demand has work; asked of all models each second, so it makes no copy.</summary>
    bool HasWork(ModelName model) => Latest(model) is { HasWork: true };

    /// <summary>The model's demand now (if any) and whenever it changes; a slow reader sees only the latest.</summary>
    IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken);

    /// <summary>The demand of every model now (if any) and of each whose demand changed, many at once; a slow reader sees only the latest of each. What one reader of ten thousand models needs.</summary>
    IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken);
}
