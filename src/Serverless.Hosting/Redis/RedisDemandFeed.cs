using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Dispatching;

namespace Serverless.Hosting.Redis;

/// <summary>Demand from dispatchers to the scalers and gateways of other processes. A dispatcher speaks at least once a second; the demand of one that fell silent is forgotten after a minute.</summary>
internal sealed class RedisDemandFeed(RedisConnection redis, TimeProvider time, ILogger<RedisDemandFeed> logger) : IDemandFeed, IRedisPart, IAsyncDisposable
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    private readonly RedisLatest<Demand> _latest = new(redis, redis.Keys.Demand, new(demand => demand.Model.Value, FeedJson.Default.Demand, Lifetime, KeepAlive: false), time, logger);

    public void Publish(Demand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        _latest.Publish(demand.Model.Value, demand);
    }

    public Demand? Latest(ModelName model) => _latest.Latest(model.Value);

    public IAsyncEnumerable<Demand> WatchAsync(ModelName model, CancellationToken cancellationToken) => _latest.WatchAsync(model.Value, cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => _latest.StartAsync(cancellationToken);

    public ValueTask DisposeAsync() => _latest.DisposeAsync();
}
