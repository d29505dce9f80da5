using System.Text;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Records;
using Serverless.Requests;
using Shouldly;
using StackExchange.Redis;

namespace Serverless.EndToEndTests.Redis;

/// <summary>The log on a healthy Redis, where hints are lost, readers are slow, and many speak at once.</summary>
public sealed class RedisRequestLogTests(SharedRedis redis) : IClassFixture<SharedRedis>, IAsyncDisposable
{
    private const int Writers = 200;

    private readonly List<RedisParts> _parts = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var parts in _parts) await parts.DisposeAsync();
    }

    [Fact]
    public async Task A_follower_that_is_told_nothing_finds_out_by_itself()
    {
        var (worker, gateway) = (await LogAsync(), await LogAsync());
        var scene = new LogScene(worker, gateway);
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync(fence, 0, 1, Token);
        await scene.SeenAsync(1);

        await redis.Server!.CommandAsync($"HDEL serverless:head:{scene.Id} followers", Token);
        await scene.AppendAsync(fence, 1, 3, Token);
        await scene.SeenAsync(3);
        await redis.Server.CommandAsync($"HDEL serverless:head:{scene.Id} followers", Token);
        await worker.AppendAsync(scene.Id, fence, 5, [LogScene.Finished(3)], Token);

        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(3));
    }

    [Fact]
    public async Task A_subscription_that_breaks_loses_nothing()
    {
        var (worker, gateway) = (await LogAsync(), await LogAsync());
        var scene = new LogScene(worker, gateway);
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        for (var position = 0; position < 100; position++)
        {
            if (position % 20 == 10) await redis.Server!.CommandAsync("CLIENT KILL TYPE pubsub", Token);
            (await LogScene.PersistAsync(() => worker.AppendAsync(scene.Id, fence, position + 2, [LogScene.Chunk(position)], Token))).ShouldBe(AppendStatus.Accepted);
        }

        await redis.Server!.CommandAsync("CLIENT KILL TYPE pubsub", Token);
        (await LogScene.PersistAsync(() => worker.AppendAsync(scene.Id, fence, 102, [LogScene.Finished(100)], Token))).ShouldBe(AppendStatus.Accepted);

        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(100));
        scene.Seen.ShouldBe(100);
    }

    [Fact]
    public async Task A_reader_slower_than_the_log_misses_nothing()
    {
        var (worker, gateway) = (await LogAsync(), await LogAsync());
        var scene = new LogScene(worker, gateway);
        var fence = await scene.BeginAsync(Token);
        await using var reader = gateway.FollowAsync(scene.Id, 0, Token).Enumerate(Token);
        (await reader.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();

        await scene.AppendAsync(fence, 0, 1, Token); // the server knows the script from here on: calls on the wire together keep their order
        await Task.WhenAll(Enumerable.Range(1, 999).Select(position => worker.AppendAsync(scene.Id, fence, position + 2, [LogScene.Chunk(position)], Token).AsTask()));
        (await worker.AppendAsync(scene.Id, fence, 1002, [LogScene.Finished(1000)], Token)).ShouldBe(AppendStatus.Accepted);

        for (var sequence = 2; sequence <= 1002; sequence++)
        {
            (await reader.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            reader.Current.Sequence.ShouldBe(sequence);
        }

        (await reader.MoveNextAsync().WithinLimitAsync()).ShouldBeFalse();
    }

    [Fact]
    public async Task A_hint_of_another_run_of_the_store_is_not_believed()
    {
        var (worker, gateway) = (await LogAsync(), await LogAsync());
        var connection = _parts[0].Connection;
        var scene = new LogScene(worker, gateway);
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync(fence, 0, 1, Token);
        await scene.SeenAsync(1);

        // Event 3 as a run that is no more numbered it: another token than the log's.
        var record = EventCodec.Encode(new RequestEvent.Chunk([new ChoiceChunk(0, 1, [-1], "")]));
        byte[] hint = [.. "0123456789abcdef"u8, 0, (byte)scene.Id.Value.Length, .. Encoding.UTF8.GetBytes(scene.Id.Value), 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, (byte)record.Length, .. record];
        var channel = (string)(await connection.RunAsync(database => database.HashGetAsync(connection.Keys.Head(scene.Id), "followers"), Token))!;
        (await connection.RunAsync(database => database.PublishAsync(RedisChannel.Literal(channel), hint), Token)).ShouldBe(1);
        await scene.AppendAsync(fence, 1, 2, Token);
        await worker.AppendAsync(scene.Id, fence, 4, [LogScene.Finished(2)], Token);

        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(2));
        scene.Seen.ShouldBe(2);
    }

    [Fact]
    public async Task Several_follow_one_request_from_any_process()
    {
        var (worker, gateway) = (await LogAsync(), await LogAsync());
        var scenes = Enumerable.Range(0, 10).Select(_ => new LogScene(worker, gateway)).ToArray();
        var fence = await scenes[0].BeginAsync(Token);
        var followers = Enumerable.Range(0, 10).Select(i => CountAsync(i % 2 == 0 ? worker : gateway, scenes[0].Id)).ToArray();

        await scenes[0].AppendAsync(fence, 0, 50, Token);
        await worker.EndAsync(scenes[0].Id, LogScene.Finished(50), Token);

        foreach (var follower in followers) (await follower.WithinLimitAsync()).ShouldBe(52);
    }

    [Fact]
    public async Task State_that_a_later_release_keeps_beside_ours_disturbs_nothing()
    {
        var log = await LogAsync();
        var scene = new LogScene(log, log);
        var fence = await scene.BeginAsync(Token);

        await redis.Server!.CommandAsync($"HSET serverless:head:{scene.Id} later anything", Token);
        await scene.AppendAsync(fence, 0, 3, Token);

        (await log.ReadHeadAsync(scene.Id, Token)).ShouldNotBeNull().Holder.ShouldBe("gateway-0");
        (await log.BeginAsync(scene.Id, 2, Guid.NewGuid(), Token)).Output.Count.ShouldBe(3);
    }

    [Fact]
    public async Task However_many_writers_race_for_a_request_it_has_one_end_and_no_gap()
    {
        var seed = Random.Shared.Next();
        TestContext.Current.SendDiagnosticMessage("Seed {0}", seed);
        var logs = new[] { await LogAsync(), await LogAsync(), await LogAsync(), await LogAsync() };
        for (var round = 0; round < 3; round++)
        {
            var scene = new LogScene(logs[0], logs[1]);
            await logs[0].OpenAsync(scene.Id, scene.Head, Token);
            var ends = new System.Collections.Concurrent.ConcurrentBag<int>();

            await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(() => RaceAsync(logs[writer % logs.Length], scene.Id, new Random(seed + (round * Writers) + writer), ends), Token)));
            if (await logs[0].EndAsync(scene.Id, LogScene.Finished(0), Token)) ends.Add(-1);

            var events = new List<LoggedEvent>();
            await foreach (var logged in logs[2].FollowAsync(scene.Id, 0, Token)) events.Add(logged);
            events.Select(logged => logged.Sequence).ShouldBe(Enumerable.Range(1, events.Count).Select(sequence => (long)sequence), $"seed {seed}");
            events.Count(logged => logged.Event.IsTerminal).ShouldBe(1, $"seed {seed}");
            events[^1].Event.IsTerminal.ShouldBeTrue($"seed {seed}");
            ends.Distinct().Count().ShouldBe(1, $"seed {seed}: {string.Join(", ", ends)}");
            events.SkipLast(1).Select(logged => ((RequestEvent.Chunk)logged.Event).Choices[0].Choice).ShouldBeInOrder(SortDirection.Ascending, $"seed {seed}");
        }
    }

    [Theory]
    [InlineData("appendonly", "no", "appendonly yes")]
    [InlineData("maxmemory-policy", "allkeys-lru", "maxmemory-policy allkeys-lru")]
    public async Task A_Redis_that_would_lose_requests_is_refused_at_start(string setting, string value, string said)
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        await using var server = await RedisServer.StartNewAsync(Token, setting, value);

        var thrown = await Should.ThrowAsync<InvalidOperationException>(RedisParts.OpenAsync(server, Token));

        thrown.Message.ShouldContain(said);
        thrown.Message.ShouldContain(server.Configuration);
        thrown.Message.ShouldContain("CONFIG SET");
    }

    [Fact]
    public async Task A_Redis_that_is_not_there_is_an_error_that_says_where()
    {
        Assert.SkipWhen(redis.Server is null, RedisServer.Absent ?? "");
        var port = PartProcess.FreePort();

        var thrown = await Should.ThrowAsync<InvalidOperationException>(RedisParts.OpenAsync(redis.Server!, Token, options =>
        {
            options.Configuration = $"127.0.0.1:{port},password=secret";
            options.StartTimeout = TimeSpan.FromSeconds(1);
            options.CommandTimeout = TimeSpan.FromMilliseconds(500);
        }));

        thrown.Message.ShouldContain($"127.0.0.1:{port}");
        thrown.Message.ShouldContain("Redis:Configuration");
        thrown.Message.ShouldNotContain("secret");
    }

    private static async Task RaceAsync(IRequestLog log, RequestId id, Random random, System.Collections.Concurrent.ConcurrentBag<int> ends)
    {
        for (var attempt = 0; attempt < 3; attempt++)
        {
            var begun = await log.BeginAsync(id, 1, Guid.NewGuid(), Token);
            if (begun.Status != BeginStatus.Begun) return;

            var next = begun.LastSequence + 1;
            for (var i = random.Next(6); i > 0; i--)
            {
                // The choice says which attempt wrote it.
                RequestEvent[] chunks = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => new RequestEvent.Chunk([new ChoiceChunk(begun.Fence.Attempt, 0, [1], "")]))];
                var from = next + random.Next(-1, 2); // too early, right, or beyond the end
                if (from < begun.LastSequence + 1) from = next;
                var status = await log.AppendAsync(id, begun.Fence, from, chunks, Token);
                if (status == AppendStatus.Gap) continue;
                if (status != AppendStatus.Accepted) break;
                next = Math.Max(next, from + chunks.Length);
            }

            if (random.Next(60) == 0 && await log.AppendAsync(id, begun.Fence, next, [LogScene.Finished(begun.Fence.Attempt)], Token) == AppendStatus.Accepted) ends.Add(begun.Fence.Attempt);
            if (random.Next(200) == 0 && await log.EndAsync(id, LogScene.Finished(0), Token)) ends.Add(-1);
        }
    }

    private static async Task<int> CountAsync(IRequestLog log, RequestId id)
    {
        var count = 0;
        await foreach (var _ in log.FollowAsync(id, 0, Token)) count++;
        return count;
    }

    private async Task<IRequestLog> LogAsync()
    {
        var parts = await redis.OpenAsync(Token);
        _parts.Add(parts);
        return parts.Log();
    }
}
