using System.Globalization;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Chaos;
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

    [Theory]
    [InlineData(-3600)]
    [InlineData(3600)]
    public async Task How_old_a_demand_is_no_machines_clock_decides_but_the_stores_and_the_readers(int skew)
    {
        var publisher = await (await OpenAsync()).DemandAsync(Token);
        var early = await (await OpenAsync()).DemandAsync(Token);
        var model = new ModelName("tiny");
        await using var watch = early.WatchAsync(model, Token).GetAsyncEnumerator(Token);
        publisher.Publish(Demand(model, 1) with { At = TimeProvider.System.GetUtcNow().AddSeconds(skew) });
        (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();

        // By the channel, and by what stands in the hash.
        var late = await (await OpenAsync()).DemandAsync(Token);
        foreach (var read in new[] { watch.Current, early.Latest(model), late.Latest(model) })
            (TimeProvider.System.GetUtcNow() - read.ShouldNotBeNull().At).ShouldBeInRange(TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task A_thousand_models_that_sleep_cost_Redis_a_word_a_second()
    {
        var parts = await OpenAsync();
        var publisher = await parts.DemandAsync(Token);
        var reader = await (await OpenAsync()).DemandAsync(Token);
        var models = Enumerable.Range(0, 1000).Select(i => new ModelName($"model-{i}")).ToArray();
        await using var watch = reader.WatchAllAsync(Token).GetAsyncEnumerator(Token);
        foreach (var model in models) publisher.Publish(Demand(model, 0));
        while (models.Any(model => reader.Latest(model) is null)) (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        await _server!.CommandAsync("CONFIG RESETSTAT", Token);

        for (var second = 0; second < 12; second++)
        {
            publisher.Renew(TimeProvider.System.GetUtcNow());
            await RealTime.PassAsync(TimeSpan.FromSeconds(1), Token);
        }

        // Twelve words, and a look of each process every five seconds; each is a handful of commands within its script. No key is touched for each model.
        var calls = await CallsAsync(parts);
        calls.ShouldBeLessThan(models.Length / 2);
        foreach (var model in models) reader.Latest(model).ShouldNotBeNull().Age(TimeProvider.System.GetUtcNow()).ShouldBeLessThan(TimeSpan.FromSeconds(10));
        (await publisher.WatchAllAsync(Token).FirstAsync(Token)).Count.ShouldBe(models.Length);
    }

    [Fact]
    public async Task A_reader_that_missed_a_message_reads_what_it_missed()
    {
        var parts = await OpenAsync();
        var publisher = await parts.DemandAsync(Token);
        var reader = await (await OpenAsync()).DemandAsync(Token);
        var (first, second) = (new ModelName("first"), new ModelName("second"));
        publisher.Publish(Demand(first, 1));
        await using var watch = reader.WatchAsync(first, Token).GetAsyncEnumerator(Token);
        (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        await using var missed = reader.WatchAsync(second, Token).GetAsyncEnumerator(Token);
        var next = missed.MoveNextAsync().AsTask();

        // As a publisher would, but for telling the channel.
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        await parts.Connection.RunAsync(database => database.HashIncrementAsync("serverless:demand:writers", "@"), Token);
        await HashSetAsync(parts, "second", $$"""{{now}} other/2 {"model":"second","at":"2026-01-01T00:00:00Z","pendingRequests":2}""");

        (await next.WithinLimitAsync()).ShouldBeTrue();
        missed.Current.PendingRequests.ShouldBe(2);
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

    private static async Task<int> CallsAsync(RedisParts parts)
    {
        var statistics = (string?)await parts.Connection.RunAsync(database => database.ScriptEvaluateAsync("return redis.call('INFO', 'commandstats')"), Token) ?? "";
        return statistics.Split('\n').Where(line => line.StartsWith("cmdstat_", StringComparison.Ordinal)).Sum(line => int.Parse(line[(line.IndexOf("calls=", StringComparison.Ordinal) + 6)..].Split(',')[0], CultureInfo.InvariantCulture));
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
