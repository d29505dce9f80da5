using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// Demand from dispatchers to the scalers and gateways of other processes. A gateway stands by all that its dispatchers said with one word a second; the demand of one that fell
/// silent is forgotten after a minute. What is read says when it was last true by the reader's own clock.
/// </summary>
internal sealed class RedisDemandFeed(RedisConnection redis, Supervisor supervisor, TimeProvider time, ILogger<RedisDemandFeed> logger) : IDemandFeed, IRedisPart, IAsyncDisposable
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    private readonly RedisLatest<ModelDemand> _latest =
        new(redis, redis.Keys.Demand, new(demand => demand.Model.Value, FeedJson.Default.ModelDemand, Lifetime, KeepAlive: false), supervisor, time, logger);

    public void Publish(ModelDemand demand)
    {
        ArgumentNullException.ThrowIfNull(demand);
        _latest.Publish(demand.Model.Value, demand);
    }

    public void Renew(DateTimeOffset now) => _latest.Renew();

    public void Withdraw(ModelName model) => _latest.Withdraw(model.Value);

    public ModelDemand? Latest(ModelName model) => _latest.Latest(model.Value, out var age) is { } demand ? demand with { At = time.GetUtcNow() - age } : null;

    public bool HasWork(ModelName model) => _latest.Latest(model.Value, static demand => demand.HasWork) is not null;

    public async IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var demand in _latest.WatchAsync(model.Value, cancellationToken)) yield return Stamped(demand);
    }

    public async IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var demands in _latest.WatchAllAsync(cancellationToken)) yield return [.. demands.Select(Stamped)];
    }

    public Task StartAsync(CancellationToken cancellationToken) => _latest.StartAsync(cancellationToken);

    public ValueTask DisposeAsync() => _latest.DisposeAsync();

    // One that has been replaced meanwhile is as old as its successor: that comes next.
    private ModelDemand Stamped(ModelDemand demand)
    {
        _latest.Latest(demand.Model.Value, out var age);
        return demand with { At = time.GetUtcNow() - age };
    }
}
