using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Parts;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>What the feeds do when Redis goes, forgets, or holds what another release wrote.</summary>
public sealed class RedisFeedTests : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _started = [];
    private RedisServer? _server;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var started in _started) await started.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
    }

    [Fact]
    public async Task What_is_published_while_Redis_is_away_arrives_when_it_is_back()
    {
        var publisher = await (await OpenAsync()).DemandAsync(Token);
        var reader = await (await OpenAsync()).DemandAsync(Token);
        var model = new ModelName("tiny");
        publisher.Publish(Demand(model, 1));
        await using var watch = reader.WatchAsync(model, Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();

        await _server!.KillAsync();
        for (var i = 2; i <= 1000; i++) publisher.Publish(Demand(model, i));
        reader.Latest(model).ShouldNotBeNull().PendingRequests.ShouldBe(1);
        await _server.StartAsync(Token);

        while (watch.Current.PendingRequests < 1000) (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
    }

    [Fact]
    public async Task A_capacity_that_Redis_lost_is_said_again_by_whoever_said_it()
    {
        var publisher = await (await OpenAsync()).CapacityAsync(Token);
        var pool = new PoolName("tiny-cpu");
        publisher.Publish(new PoolCapacity { Pool = pool, Ready = 3 });
        await using var first = (await (await OpenAsync()).CapacityAsync(Token)).WatchAsync(pool, Token).Enumerate(Token);
        await first.MoveNextAsync().WithinLimitAsync();

        await _server!.CommandAsync("DEL serverless:capacity", Token);

        await using var late = (await (await OpenAsync()).CapacityAsync(Token)).WatchAsync(pool, Token).Enumerate(Token);
        (await late.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        late.Current.Ready.ShouldBe(3);
    }

    [Fact]
    public async Task What_another_release_wrote_is_read_as_far_as_it_is_known_and_what_is_none_is_left_out()
    {
        var parts = await OpenAsync();
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        await HashSetAsync(parts, "next", $$"""{{now}} other {"model":"next","at":"2026-01-01T00:00:00Z","pendingRequests":2,"later":{"a":[1]},"replicas":[{"replica":"r","pool":"p","later":1}]}""");
        await HashSetAsync(parts, "previous", $$"""{{now}} other {"model":"previous","at":"2026-01-01T00:00:00Z"}""");
        foreach (var (name, junk) in new[] { ("junk1", "junk"), ("junk2", $"{now} other junk"), ("junk3", $"{now} other {{}}"), ("junk4", $"{now} other null"), ("junk5", $"{now} other {{\"model\":null,\"at\":\"2026-01-01T00:00:00Z\"}}") })
            await HashSetAsync(parts, name, junk);

        var feed = await parts.DemandAsync(Token);

        feed.Latest(new ModelName("next")).ShouldNotBeNull().PendingRequests.ShouldBe(2);
        feed.Latest(new ModelName("next"))!.Replicas.Single().ShouldBe(new ReplicaDemand("r", new PoolName("p"), false, 0, 0, 0, 0, 0, 0));
        feed.Latest(new ModelName("previous")).ShouldNotBeNull().HasWork.ShouldBeFalse();
    }

    [Fact]
    public async Task What_nobody_stands_by_is_forgotten()
    {
        var parts = await OpenAsync();
        var old = TimeProvider.System.GetUtcNow().AddMinutes(-2).ToUnixTimeMilliseconds();
        await HashSetAsync(parts, "old", $$"""{{old}} other {"model":"old","at":"2026-01-01T00:00:00Z","pendingRequests":2}""");

        var feed = await parts.DemandAsync(Token);

        feed.Latest(new ModelName("old")).ShouldBeNull();
        (await _server!.CommandAsync("HLEN serverless:demand", Token)).ShouldBe(":0");
    }

    [Fact]
    public async Task Publishing_and_reading_never_wait_though_Redis_hangs()
    {
        var feed = await (await OpenAsync()).DemandAsync(Token);
        await _server!.Process.SignalAsync("STOP");
        try
        {
            for (var i = 0; i < 10_000; i++) feed.Publish(Demand(new ModelName($"model-{i % 10}"), i));

            feed.Latest(new ModelName("model-9")).ShouldNotBeNull().PendingRequests.ShouldBe(9999);
        }
        finally
        {
            await _server.Process.SignalAsync("CONT");
        }
    }

    private static ModelDemand Demand(ModelName model, int pending) => new() { Model = model, At = DateTimeOffset.UnixEpoch, PendingRequests = pending };

    private static Task<bool> HashSetAsync(RedisParts parts, string name, string entry) =>
        parts.Connection.RunAsync(database => database.HashSetAsync(parts.Connection.Keys.Demand, name, entry), Token).AsTask();

    private async Task<RedisParts> OpenAsync()
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        _server ??= await RedisServer.StartNewAsync(Token);
        var parts = await RedisParts.OpenAsync(_server, Token);
        _started.Insert(0, parts);
        return parts;
    }
}
