using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Feeds;
using Serverless.Hosting.Redis.Connection;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// Values of which only the latest of each name counts, shared by all processes over a hash and its channel, and at hand in each: reading and publishing never wait. What
/// is published while Redis is away goes out when it is back, if it is still the latest. Thread-safe.
/// </summary>
internal sealed partial class RedisLatest<T>(RedisConnection redis, RedisKey hash, RedisLatestOptions<T> options, TimeProvider time, ILogger logger) : IRedisPart, IAsyncDisposable
    where T : class
{
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly string _writer = Guid.NewGuid().ToString("n");
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<string, LatestValue<Held>> _held = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _unsent = new(StringComparer.Ordinal);
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly RefreshTimer _refresh = new(RefreshInterval, time);
    private readonly CancellationTokenSource _stopping = new();
    private ImmutableArray<PendingChanges<string, T>> _readers = [];
    private ChannelMessageQueue? _subscription;
    private Task _running = Task.CompletedTask;

    /// <summary>Replaces the value of that name.</summary>
    public void Publish(string name, T value)
    {
        lock (_lock)
        {
            Set(name, new Held(value, 0, default, mine: true, time.GetTimestamp()));
            _unsent[name] = true;
        }

        _wake.Writer.TryWrite(true);
    }

    /// <summary>The latest of that name; null before the first, and when nobody has stood by it for its lifetime.</summary>
    public T? Latest(string name) =>
        _held.TryGetValue(name, out var latest) && latest.Value is { } held && time.GetElapsedTime(held.FreshAt) < options.Lifetime ? held.Value : null;

    /// <summary>The value now (if any) and whenever it changes.</summary>
    public async IAsyncEnumerable<T> WatchAsync(string name, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        T? seen = null;
        await foreach (var held in Of(name).WatchAsync(cancellationToken))
        {
            if (ReferenceEquals(held.Value, seen) || time.GetElapsedTime(held.FreshAt) >= options.Lifetime) continue;
            yield return seen = held.Value;
        }
    }

    /// <summary>All values now, and those that change, many at once.</summary>
    public async IAsyncEnumerable<IReadOnlyCollection<T>> WatchAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = new PendingChanges<string, T>();
        ImmutableInterlocked.Update(ref _readers, readers => readers.Add(changes));
        try
        {
            foreach (var name in _held.Keys)
            {
                if (Latest(name) is { } value) changes.Put(name, value);
            }

            await foreach (var taken in changes.TakeAllAsync(cancellationToken)) yield return [.. taken.Values];
        }
        finally
        {
            ImmutableInterlocked.Update(ref _readers, readers => readers.Remove(changes));
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _subscription = await redis.SubscribeAsync(RedisKeys.Changes(hash), message => Take(message), cancellationToken);
        await RefreshAsync(cancellationToken);
        redis.Reconnected += OnReconnected;
        _running = Task.WhenAll(SendAsync(_stopping.Token), _refresh.RunAsync(RefreshSafelyAsync, _stopping.Token));
    }

    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested) return; // a container disposes of it once for each port it stands for
        redis.Reconnected -= OnReconnected;
        await _stopping.CancelAsync();
        await _running;
        if (_subscription is not null) await _subscription.UnsubscribeAsync(CommandFlags.FireAndForget);
        _stopping.Dispose();
    }

    private void Set(string name, Held held)
    {
        Of(name).Set(held);
        foreach (var reader in _readers) reader.Put(name, held.Value);
    }

    private LatestValue<Held> Of(string name) => _held.GetOrAdd(name, static _ => new LatestValue<Held>());

    private void OnReconnected(object? sender, EventArgs restored) => _refresh.Now();

    /// <summary>Takes an entry from the channel or the hash; returns its name, or null for one that cannot be read.</summary>
    private string? Take(ReadOnlyMemory<byte> bytes, TimeSpan age = default)
    {
        try
        {
            if (!FeedEntry.TryRead(bytes, out var entry) || JsonSerializer.Deserialize(entry.Json.Span, options.Json) is not { } value) throw new JsonException("It is no entry.");

            var name = options.Name(value);
            if (string.IsNullOrEmpty(name)) throw new JsonException("It names nothing.");
            var freshAt = time.GetTimestamp() - (long)(age.TotalSeconds * time.TimestampFrequency);
            lock (_lock) TakeNeedsLock(name, value, entry, freshAt);
            return name;
        }
        catch (JsonException exception)
        {
            LogUnreadable($"{hash}", exception.Message);
            return null;
        }
    }

    private void TakeNeedsLock(string name, T value, in FeedEntry entry, long freshAt)
    {
        var latest = Of(name);
        if (entry.Writer == _writer && latest.Value is { Mine: true } mine)
        {
            // The echo of what this process published, perhaps of less than its latest.
            mine.FreshAt = Math.Max(mine.FreshAt, freshAt);
        }
        else if (latest.Value is { Mine: false } held && (entry.At <= held.At || held.Json.Span.SequenceEqual(entry.Json.Span)))
        {
            held.FreshAt = Math.Max(held.FreshAt, freshAt);
        }
        else if (!_unsent.ContainsKey(name))
        {
            Set(name, new Held(value, entry.At, entry.Json, entry.Writer == _writer, freshAt));
        }
    }

    private async Task SendAsync(CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var _ in _wake.Reader.ReadAllAsync(stoppingToken))
            {
                foreach (var name in _unsent.Keys)
                {
                    if (await TrySendAsync(name, stoppingToken)) continue;

                    await Task.Delay(RetryInterval, time, stoppingToken);
                    _wake.Writer.TryWrite(true);
                    break;
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task<bool> TrySendAsync(string name, CancellationToken stoppingToken)
    {
        if (!_unsent.TryRemove(name, out _) || Of(name).Value is not { Mine: true } mine) return true;
        try
        {
            await redis.EvaluateAsync(RedisLatestScripts.Publish, [hash], [name, _writer, JsonSerializer.SerializeToUtf8Bytes(mine.Value, options.Json)], stoppingToken);
            return true;
        }
        catch (ServingException exception)
        {
            _unsent[name] = true;
            LogUnsent($"{hash}", name, exception.Message);
            return false;
        }
    }

    private async Task RefreshSafelyAsync(CancellationToken stoppingToken)
    {
        try
        {
            await RefreshAsync(stoppingToken);
        }
        catch (Exception exception) when (exception is ServingException)
        {
            LogNotRefreshed($"{hash}", exception.Message);
        }
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var keep = options.KeepAlive ? _writer : "";
        var answer = (RedisValue[])(await redis.EvaluateAsync(RedisLatestScripts.Refresh, [hash], [(long)options.Lifetime.TotalMilliseconds, keep], cancellationToken))!;
        var there = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i + 1 < answer.Length; i += 2)
        {
            if (Take(answer[i], TimeSpan.FromMilliseconds((long)answer[i + 1])) is { } name) there.Add(name);
        }

        if (!options.KeepAlive) return;
        foreach (var (name, latest) in _held)
        {
            // The store lost it: say it again.
            if (!there.Contains(name) && latest.Value is { Mine: true }) _unsent[name] = true;
        }

        if (!_unsent.IsEmpty) _wake.Writer.TryWrite(true);
    }

    [LoggerMessage(LogLevel.Warning, "An entry of {Hash} cannot be read and is left out: {Reason}")]
    private partial void LogUnreadable(string hash, string reason);

    [LoggerMessage(LogLevel.Debug, "Could not publish {Name} to {Hash}: {Reason} Tried again in a second, unless a newer one comes first")]
    private partial void LogUnsent(string hash, string name, string reason);

    [LoggerMessage(LogLevel.Debug, "Could not read {Hash}: {Reason} What was read last stays until its lifetime is over")]
    private partial void LogNotRefreshed(string hash, string reason);

    /// <summary>A value at hand.</summary>
    private sealed class Held(T value, long at, ReadOnlyMemory<byte> json, bool mine, long freshAt)
    {
        private long _freshAt = freshAt;

        public T Value => value;

        /// <summary>The store's time of it.</summary>
        public long At => at;

        public ReadOnlyMemory<byte> Json => json;

        /// <summary>Published by this process and by none after it.</summary>
        public bool Mine => mine;

        /// <summary>Timestamp of when somebody last stood by it.</summary>
        public long FreshAt
        {
            get => Volatile.Read(ref _freshAt);
            set => Volatile.Write(ref _freshAt, value);
        }
    }
}
