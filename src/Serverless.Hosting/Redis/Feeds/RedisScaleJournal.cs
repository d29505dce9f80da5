using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>Decisions from the scaler to the processes that show them. Thread-safe.</summary>
public sealed class RedisScaleJournal : IScaleJournal, IRedisPart, IAsyncDisposable
{
    /// <summary>Decisions of a pool that are published.</summary>
    public const int Kept = 32;

    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    private readonly RedisLatest<DecisionHistory> _latest;

    internal RedisScaleJournal(RedisConnection redis, Supervisor supervisor, TimeProvider time, ILogger<RedisScaleJournal> logger) =>
        _latest = new(redis, redis.Keys.Decisions, new(history => history.Pool.Value, FeedJson.Default.DecisionHistory, Lifetime, KeepAlive: true), supervisor, time, logger);

    /// <summary>Replaces what is told of a pool; of <paramref name="decisions"/>, oldest first, the newest are told.</summary>
    public void Publish(PoolName pool, IReadOnlyList<ScaleDecision> decisions) => _latest.Publish(pool.Value, new DecisionHistory(pool, [.. decisions.TakeLast(Kept)]));

    /// <inheritdoc/>
    public ScaleDecision? Latest(PoolName pool) => _latest.Latest(pool.Value) is { Decisions: [.., var newest] } ? newest : null;

    /// <inheritdoc/>
    public IReadOnlyList<ScaleDecision> History(PoolName pool) => _latest.Latest(pool.Value)?.Decisions ?? [];

    Task IRedisPart.StartAsync(CancellationToken cancellationToken) => _latest.StartAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _latest.DisposeAsync();
}

/// <summary>The newest decisions of a pool, oldest first, as a scaler publishes them.</summary>
internal sealed record DecisionHistory(PoolName Pool, IReadOnlyList<ScaleDecision> Decisions);
