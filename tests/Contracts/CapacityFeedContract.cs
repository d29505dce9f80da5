using System.Text.Json;
using Serverless.Catalog;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="ICapacityFeed"/> does, between a publisher and a reader that may be in two processes.</summary>
public abstract class CapacityFeedContract
{
    private readonly PoolName _pool = new($"pool-{Guid.NewGuid():n}");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Two ends of one feed. The subclass disposes of them.</summary>
    protected abstract ValueTask<(ICapacityFeed Publisher, ICapacityFeed Reader)> CreateAsync();

    [Fact]
    public async Task What_is_published_arrives_whole()
    {
        var (publisher, reader) = await CreateAsync();
        var capacity = new PoolCapacity
        {
            Pool = _pool,
            Desired = 4,
            Ready = 1,
            LoadingSince = [DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123), DateTimeOffset.UnixEpoch],
            Draining = 2,
            LoadingProgress = 0.25,
            LastFailure = "It has no \"room\": é",
            LastColdStartSeconds = 12.5,
        };
        await using var watch = reader.WatchAsync(_pool, Token).Enumerate(Token);

        publisher.Publish(capacity);

        (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        JsonSerializer.Serialize(watch.Current).ShouldBe(JsonSerializer.Serialize(capacity));
        JsonSerializer.Serialize(reader.Latest(_pool)).ShouldBe(JsonSerializer.Serialize(capacity));
    }

    [Fact]
    public async Task A_pool_of_which_nothing_was_said_is_empty()
    {
        var (publisher, reader) = await CreateAsync();

        foreach (var feed in new[] { publisher, reader }) JsonSerializer.Serialize(feed.Latest(_pool)).ShouldBe(JsonSerializer.Serialize(new PoolCapacity { Pool = _pool }));
    }

    [Fact]
    public async Task Whoever_watches_sees_the_last_and_never_goes_back()
    {
        const int Last = 500;
        var (publisher, reader) = await CreateAsync();
        var other = new PoolName($"pool-{Guid.NewGuid():n}");
        await using var watch = reader.WatchAsync(_pool, Token).Enumerate(Token);

        for (var i = 1; i <= Last; i++)
        {
            publisher.Publish(new PoolCapacity { Pool = other, Ready = -1 });
            publisher.Publish(new PoolCapacity { Pool = _pool, Ready = i });
        }

        for (var seen = 0; seen < Last;)
        {
            (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            watch.Current.Ready.ShouldBeGreaterThan(seen);
            seen = watch.Current.Ready;
        }
    }
}
