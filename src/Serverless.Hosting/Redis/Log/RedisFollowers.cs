using System.Collections.Concurrent;
using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;
using Serverless.Requests;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Log;

/// <summary>
/// All open followers of this process. They share one channel, which a log learns by being read: the scripts tell it the records they append, so following costs one call and
/// no subscription. Hints may be lost; whoever has heard nothing for a second is compared with its log, some hundred in one call.
/// </summary>
internal sealed partial class RedisFollowers(RedisConnection redis, Supervisor supervisor, TimeProvider time, ILogger<RedisFollowers> logger) : IAsyncDisposable
{
    private const int PageOfEvents = 500;
    private const int PageOfBytes = 256 * 1024;
    private const int SweepBatch = 250;

    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SweepInterval = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<string, ImmutableArray<RedisFollower>> _followers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _opened = new(StringComparer.Ordinal);
    private readonly string _channel = redis.Keys.Hints(Guid.NewGuid().ToString("n"));
    private readonly SemaphoreSlim _starting = new(1, 1);
    private readonly RefreshTimer _sweep = new(SweepInterval, time);
    private readonly CancellationTokenSource _stopping = new();
    private ChannelMessageQueue? _subscription;
    private Task _sweeping = Task.CompletedTask;
    private volatile bool _compareAll;

    /// <summary>The channel that a log tells what is appended, once it is listened to.</summary>
    public async ValueTask<string> ChannelAsync(CancellationToken cancellationToken)
    {
        if (_subscription is null) await StartAsync(cancellationToken);
        return _channel;
    }

    /// <summary>
    /// This process opened the log just now, in that run of the server and with <see cref="ChannelAsync"/> in it: while no hint of it has come, it is empty and need not be read.
    /// The first hint, that of its end at the latest, forgets this; so does whatever may have kept one from coming.
    /// </summary>
    public void Opened(RequestId id, string run) => _opened[id.Value] = run;

    public async ValueTask<RedisFollower> AddAsync(RequestId id, long after, CancellationToken cancellationToken)
    {
        await ChannelAsync(cancellationToken);
        var follower = new RedisFollower(this, id, after, time, cancellationToken);
        _followers.AddOrUpdate(id.Value, static (_, first) => [first], static (_, others, next) => others.Add(next), follower);

        // In this order, and a hint in the other: one that comes now either finds the follower or makes it read.
        if (_opened.TryRemove(id.Value, out var run) && after == 0) follower.BeginEmpty(run);
        return follower;
    }

    public void Remove(RedisFollower follower)
    {
        while (_followers.TryGetValue(follower.Id.Value, out var all))
        {
            var rest = all.Remove(follower);
            if (rest.IsEmpty ? _followers.TryRemove(KeyValuePair.Create(follower.Id.Value, all)) : _followers.TryUpdate(follower.Id.Value, rest, all)) return;
        }
    }

    /// <summary>Reads what follows <paramref name="after"/>; from that moment on the channel gets what is appended.</summary>
    public async ValueTask<RedisPage> ReadAsync(RequestId id, long after, CancellationToken cancellationToken)
    {
        var answer = (RedisResult[])(await redis.EvaluateAsync(
            RedisLogScripts.Read, [redis.Keys.Head(id), redis.Keys.Events(id)], [_channel, after, PageOfEvents, PageOfBytes], cancellationToken))!;
        return new RedisPage((string)answer[0]!, (long)answer[1], (int)answer[2] == 1, [.. ((RedisValue[])answer[3]!).Select(record => (ReadOnlyMemory<byte>)record)]);
    }

    public static ServingException Expired(RequestId id) =>
        new(new ServingFault(ServingError.LogExpired, $"Nothing is kept of request '{id}': it ended and its events were read or expired, or it never was. Send it again."));

    public async ValueTask DisposeAsync()
    {
        redis.Reconnected -= OnReconnected;
        await _stopping.CancelAsync();
        await _sweeping;
        if (_subscription is not null) await _subscription.UnsubscribeAsync(CommandFlags.FireAndForget);
        _starting.Dispose();
        _stopping.Dispose();
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        await _starting.WaitAsync(cancellationToken);
        try
        {
            if (_subscription is not null) return;
            _subscription = await redis.SubscribeAsync(RedisChannel.Literal(_channel), OnHint, cancellationToken);
            redis.Reconnected += OnReconnected;
            _sweeping = supervisor.RunAsync("log sweep", token => _sweep.RunAsync(SweepAsync, token), _stopping.Token);
        }
        finally
        {
            _starting.Release();
        }
    }

    private void OnHint(RedisValue message)
    {
        if (!RedisHint.TryRead(message, out var hint)) return;
        _opened.TryRemove(hint.Id, out _);
        if (!_followers.TryGetValue(hint.Id, out var followers)) return;
        foreach (var follower in followers) follower.Offer(hint);
    }

    // Messages may have been missed: everyone is compared with its log, whenever it heard last.
    private void OnReconnected(object? sender, EventArgs restored)
    {
        _opened.Clear();
        _compareAll = true;
        _sweep.Now();
    }

    private async Task SweepAsync(CancellationToken stoppingToken)
    {
        var limit = _compareAll ? TimeSpan.Zero : Silence;
        _compareAll = false;
        foreach (var batch in _followers.Values.SelectMany(followers => followers).Where(follower => follower.IsSilent(limit)).Chunk(SweepBatch))
        {
            if (!await SweepAsync(batch, stoppingToken)) return;
        }
    }

    private async Task<bool> SweepAsync(RedisFollower[] silent, CancellationToken stoppingToken)
    {
        try
        {
            RedisValue[] values = [redis.Keys.Heads, redis.Keys.Streams, _channel, .. silent.SelectMany(follower => new RedisValue[] { follower.Id.Value, follower.Read })];
            var answer = (RedisResult[])(await redis.EvaluateAsync(RedisLogScripts.Sweep, [], values, stoppingToken))!;
            var run = (string)answer[0]!;
            var changed = ((int[])answer[1]!).ToHashSet();
            for (var i = 0; i < silent.Length; i++)
            {
                if (changed.Contains(i) || silent[i].Run != run) silent[i].Reread();
                else silent[i].Confirm();
            }

            return true;
        }
        catch (ServingException exception)
        {
            LogSweepFailed(silent.Length, exception.Message);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Debug, "Could not compare {Followers} silent followers with their logs: {Reason} They pause and are compared again")]
    private partial void LogSweepFailed(int followers, string reason);
}
