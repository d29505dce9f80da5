using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>The log when Redis is killed, loses its last seconds, or hangs: nothing is repeated, nothing is missing, and nothing is written by those who do not know of it.</summary>
public sealed class RedisLossTests : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _started = [];
    private RedisServer? _server;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private RedisServer Server => _server ?? throw new InvalidOperationException("The scene starts it.");

    public async ValueTask DisposeAsync()
    {
        foreach (var started in _started) await started.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_killed_Redis_comes_back_with_its_file_and_the_stream_goes_on()
    {
        var (scene, worker) = await SceneAsync();
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync(fence, 0, 20, Token);
        await scene.SeenAsync(20);

        await Server.RestartAsync(Token);

        (await LogScene.PersistAsync(() => worker.AppendAsync(scene.Id, fence, 22, [LogScene.Chunk(20)], Token))).ShouldBe(AppendStatus.StoreChanged);
        var adopted = await worker.AdoptAsync(scene.Id, scene.Head, 1, fence, Token);
        (adopted.Status, adopted.LastSequence).ShouldBe((BeginStatus.Begun, 21));
        await scene.AppendAsync(adopted.Fence, 20, 40, Token);
        await worker.AppendAsync(scene.Id, adopted.Fence, 42, [LogScene.Finished(40)], Token);

        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(40));
        scene.Seen.ShouldBe(40);
    }

    [Fact]
    public async Task What_Redis_lost_is_appended_again_without_a_gap_and_followers_get_each_token_once()
    {
        var (scene, worker) = await SceneAsync();
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync(fence, 0, 10, Token);
        var old = Server.CopyData();
        await scene.AppendAsync(fence, 10, 30, Token);
        await scene.SeenAsync(30);

        await Server.RestoreAsync(old, Token);

        (await LogScene.PersistAsync(() => worker.AppendAsync(scene.Id, fence, 32, [LogScene.Chunk(30)], Token))).ShouldBe(AppendStatus.StoreChanged);
        var adopted = await worker.AdoptAsync(scene.Id, scene.Head, 1, fence, Token);
        adopted.LastSequence.ShouldBe(11);

        // Cut otherwise than before: sequences after the loss name other tokens than they did.
        (await worker.AppendAsync(scene.Id, adopted.Fence, 12, [.. Enumerable.Range(0, 10).Select(i => LogScene.Chunk(10 + (i * 3), 3)), LogScene.Finished(40)], Token)).ShouldBe(AppendStatus.Accepted);
        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(40));
        scene.Seen.ShouldBe(40);
    }

    [Fact]
    public async Task A_log_that_was_lost_whole_comes_back_by_its_adoption_and_its_follower_with_it()
    {
        var (scene, worker) = await SceneAsync();
        var old = Server.CopyData();
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync(fence, 0, 10, Token);
        await scene.SeenAsync(10);

        await Server.RestoreAsync(old, Token);

        (await LogScene.PersistAsync(() => worker.AppendAsync(scene.Id, fence, 12, [LogScene.Chunk(10)], Token))).ShouldBe(AppendStatus.StoreChanged);
        var adopted = await worker.AdoptAsync(scene.Id, scene.Head, 1, fence, Token);
        (adopted.Status, adopted.LastSequence).ShouldBe((BeginStatus.Begun, 0));
        (await worker.AppendAsync(scene.Id, adopted.Fence, 1, [LogScene.Chunk(0, 12), LogScene.Finished(12)], Token)).ShouldBe(AppendStatus.Accepted);

        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(12));
        scene.Seen.ShouldBe(12);
    }

    [Fact]
    public async Task A_log_that_was_lost_and_that_nobody_brings_back_is_an_error()
    {
        var (scene, _) = await SceneAsync();
        var old = Server.CopyData();
        await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync((await scene.AgainAsync(Token)).Fence, 0, 1, Token);
        await scene.SeenAsync(1);

        await Server.RestoreAsync(old, Token);

        (await Should.ThrowAsync<ServingException>(following.WithinLimitAsync())).Fault.Error.ShouldBe(ServingError.LogExpired);
    }

    [Fact]
    public async Task An_attempt_begun_after_a_loss_is_not_taken_for_one_that_was_lost()
    {
        var (scene, worker) = await SceneAsync();
        await scene.BeginAsync(Token);
        var old = Server.CopyData();
        var lost = (await scene.AgainAsync(Token)).Fence;

        await Server.RestoreAsync(old, Token);

        var begun = await LogScene.PersistAsync(() => worker.BeginAsync(scene.Id, 2, Guid.NewGuid(), Token));
        begun.Fence.Attempt.ShouldBeGreaterThan(lost.Attempt);
        (await worker.AppendAsync(scene.Id, lost, 2, [LogScene.Chunk(0)], Token)).ShouldBe(AppendStatus.Fenced);
        (await worker.AdoptAsync(scene.Id, scene.Head, 2, lost, Token)).Status.ShouldBe(BeginStatus.Superseded);
        (await worker.AppendAsync(scene.Id, begun.Fence, 2, [LogScene.Chunk(0)], Token)).ShouldBe(AppendStatus.Accepted);
    }

    [Fact]
    public async Task A_Redis_that_hangs_is_unavailable_in_bounded_time_and_the_stream_goes_on_when_it_wakes()
    {
        var (scene, worker) = await SceneAsync();
        var fence = await scene.BeginAsync(Token);
        var following = scene.FollowAsync(Token);
        await scene.AppendAsync(fence, 0, 5, Token);
        await scene.SeenAsync(5);

        await Server.Process.SignalAsync("STOP");
        var since = TimeProvider.System.GetTimestamp();
        try
        {
            while (TimeProvider.System.GetElapsedTime(since) < TimeSpan.FromSeconds(5))
            {
                var thrown = await Should.ThrowAsync<ServingException>(worker.AppendAsync(scene.Id, fence, 7, [LogScene.Chunk(5)], Token).AsTask().WithinLimitAsync());
                thrown.Fault.Error.ShouldBe(ServingError.StoreUnavailable);
            }
        }
        finally
        {
            await Server.Process.SignalAsync("CONT");
        }

        // What timed out may have been written or not: writing again is the answer to both.
        (await LogScene.PersistAsync(() => worker.AppendAsync(scene.Id, fence, 7, [LogScene.Chunk(5)], Token))).ShouldBe(AppendStatus.Accepted);
        await scene.AppendAsync(fence, 6, 10, Token);
        (await worker.AppendAsync(scene.Id, fence, 12, [LogScene.Finished(10)], Token)).ShouldBe(AppendStatus.Accepted);
        (await following.WithinLimitAsync()).ShouldBe(LogScene.Finished(10));
        scene.Seen.ShouldBe(10);
    }

    [Fact]
    public async Task An_epoch_survives_a_restart()
    {
        var (scene, worker) = await SceneAsync();
        await scene.BeginAsync(Token);
        await worker.BeginAsync(scene.Id, 7, Guid.NewGuid(), Token);

        await Server.RestartAsync(Token);

        (await LogScene.PersistAsync(() => worker.BeginAsync(scene.Id, 6, Guid.NewGuid(), Token))).Status.ShouldBe(BeginStatus.StaleEpoch);
    }

    private async Task<(LogScene Scene, IRequestLog Worker)> SceneAsync()
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        _server = await RedisServer.StartNewAsync(Token, "appendfsync", "always");
        var logs = new List<IRequestLog>();
        for (var i = 0; i < 2; i++)
        {
            var parts = await RedisParts.OpenAsync(_server, Token);
            _started.Insert(0, parts);
            logs.Add(parts.Log());
        }

        return (new LogScene(logs[0], logs[1]), logs[0]);
    }
}
