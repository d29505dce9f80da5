using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>Demand from dispatchers to the scalers and gateways of other processes. A dispatcher speaks at least once a second; the demand of one that fell silent is forgotten after a minute.</summary>
internal sealed class RedisDemandFeed(RedisConnection redis, TimeProvider time, ILogger<RedisDemandFeed> logger) : IDemandFeed, IRedisPart, IAsyncDisposable
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan RenewalInterval = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<ModelName, ModelDemand> _mine = new();
    private readonly RedisLatest<ModelDemand> _latest = new(redis, redis.Keys.Demand, new(demand => demand.Model.Value, FeedJson.Default.ModelDemand, Lifetime, KeepAlive: false), time, logger);

    public void Publish(ModelDemand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        _mine[demand.Model] = demand;
        _latest.Publish(demand.Model.Value, demand);
    }

    public void Renew(DateTimeOffset now)
    {
        foreach (var (model, demand) in _mine)
        {
            var renewed = demand with { At = now };
            if (now - demand.At >= RenewalInterval && _mine.TryUpdate(model, renewed, demand)) _latest.Publish(model.Value, renewed);
        }
    }

    public void Withdraw(ModelName model) => _mine.TryRemove(model, out _);

    public ModelDemand? Latest(ModelName model) => _latest.Latest(model.Value);

    public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => _latest.WatchAsync(model.Value, cancellationToken);

    public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => _latest.WatchAllAsync(cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => _latest.StartAsync(cancellationToken);

    public ValueTask DisposeAsync() => _latest.DisposeAsync();
}
