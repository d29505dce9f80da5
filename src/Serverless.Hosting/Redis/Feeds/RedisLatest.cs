using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Feeds;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// Values of which only the latest of each name counts, shared by all processes over a hash and its channel, and at hand in each: reading and publishing never wait. What
/// is published while Redis is away goes out when it is back, if it is still the latest. A writer stands by all its values with one word: a thousand that do not change cost no
/// more than one. Ages are by the store's clock or by receipt; no two machines' clocks are compared. Thread-safe.
/// </summary>
internal sealed partial class RedisLatest<T>(RedisConnection redis, RedisKey hash, RedisLatestOptions<T> options, Supervisor supervisor, TimeProvider time, ILogger logger) : IRedisPart, IAsyncDisposable
    where T : class
{
    private const int SentAtOnce = 64;

    private static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan WholeInterval = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(2);

    private readonly string _writer = Guid.NewGuid().ToString("n");

    // The writer of what this process withdrew, until the store says that it is nobody's.
    private readonly string _left = FeedEntry.Nobody + Guid.NewGuid().ToString("n");
    private readonly RedisKey _writers = hash.Append(":writers");
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<string, LatestValue<LatestEntry<T>>> _held = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _said = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _unsent = new(StringComparer.Ordinal);
    private readonly HashSet<string> _there = new(StringComparer.Ordinal);
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly RefreshTimer _refresh = new(RefreshInterval, time);
    private readonly CancellationTokenSource _stopping = new();
    private ImmutableArray<PendingChanges<string, T>> _readers = [];
    private ChannelMessageQueue? _values;
    private ChannelMessageQueue? _words;
    private Task _running = Task.CompletedTask;
    private (long From, long To, bool IsWhole) _known;
    private long _wholeAt;
    private volatile bool _renewed;

    /// <summary>Replaces the value of that name.</summary>
    public void Publish(string name, T value)
    {
        lock (_lock)
        {
            Set(name, new LatestEntry<T>(value, 0, _writer, default, time.GetTimestamp()));
            _unsent[name] = true;
        }

        _wake.Writer.TryWrite(true);
    }

    /// <summary>All that this process published and did not withdraw is still so.</summary>
    public void Renew()
    {
        _said[_writer] = time.GetTimestamp();
        _renewed = true;
        _wake.Writer.TryWrite(true);
    }

    /// <summary>This process no longer stands by the value of that name: it ages, until another publishes one.</summary>
    public void Withdraw(string name)
    {
        lock (_lock)
        {
            if (Of(name).Value is not { } held || held.Writer != _writer) return;
            Of(name).Set(new LatestEntry<T>(held.Value, held.At, _left, held.Json, Math.Max(held.FreshAt, _said.GetValueOrDefault(_writer))));
            _unsent[name] = true;
        }

        _wake.Writer.TryWrite(true);
    }

    /// <summary>The latest of that name; null before the first, and when nobody has stood by it for its lifetime.</summary>
    public T? Latest(string name) => Latest(name, out _);

    /// <summary>The same, and how long ago somebody stood by it.</summary>
    public T? Latest(string name, out TimeSpan age)
    {
        age = default;
        return _held.TryGetValue(name, out var latest) && latest.Value is { } held && (age = Age(held)) < options.Lifetime ? held.Value : null;
    }

    /// <summary>The same where it is as asked for. Of most it is not: nothing else is looked up for those.</summary>
    public T? Latest(string name, Func<T, bool> isAsked) =>
        _held.TryGetValue(name, out var latest) && latest.Value is { } held && isAsked(held.Value) && Age(held) < options.Lifetime ? held.Value : null;

    /// <summary>The value now (if any) and whenever it changes.</summary>
    public async IAsyncEnumerable<T> WatchAsync(string name, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        T? seen = null;
        await foreach (var held in Of(name).WatchAsync(cancellationToken))
        {
            if (ReferenceEquals(held.Value, seen) || Age(held) >= options.Lifetime) continue;
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
        _values = await redis.SubscribeAsync(RedisKeys.Changes(hash), message => Take(message), cancellationToken);
        _words = await redis.SubscribeAsync(RedisKeys.Changes(_writers), word => Said((string)word!, time.GetTimestamp()), cancellationToken);
        await RefreshAsync(cancellationToken);
        redis.Reconnected += OnReconnected;
        _running = Task.WhenAll(
            supervisor.RunAsync("feed-send", SendAsync, _stopping.Token, $"{hash}"),
            supervisor.RunAsync("feed-refresh", token => _refresh.RunAsync(RefreshSafelyAsync, token), _stopping.Token, $"{hash}"));
    }

    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested) return; // a container disposes of it once for each port it stands for
        redis.Reconnected -= OnReconnected;
        await _stopping.CancelAsync();
        await _running;
        foreach (var subscription in new[] { _values, _words }) await (subscription?.UnsubscribeAsync(CommandFlags.FireAndForget) ?? Task.CompletedTask);
        _stopping.Dispose();
    }

    private TimeSpan Age(LatestEntry<T> held) => time.GetElapsedTime(Math.Max(held.FreshAt, _said.GetValueOrDefault(held.Writer)));

    private void Said(string writer, long at) => _said.AddOrUpdate(writer, at, (_, known) => Math.Max(known, at));

    private void Set(string name, LatestEntry<T> held)
    {
        Of(name).Set(held);
        foreach (var reader in _readers) reader.Put(name, held.Value);
    }

    private LatestValue<LatestEntry<T>> Of(string name) => _held.GetOrAdd(name, static _ => new LatestValue<LatestEntry<T>>());

    private void OnReconnected(object? sender, EventArgs restored)
    {
        lock (_lock) _known = default;
        _refresh.Now();
    }

    /// <summary>Takes an entry that the channel told.</summary>
    private void Take(ReadOnlyMemory<byte> bytes)
    {
        if (!TryParse(bytes, out var entry, out var name, out var value)) return;
        lock (_lock)
        {
            // In order and without a gap: then there is nothing that the next refresh would have to read.
            if (entry.Number == _known.To + 1) _known.To++;
            else if (entry.Number > _known.To) _known = (entry.Number, entry.Number, false);
            _there.Add(name);
            TakeNeedsLock(name, value, entry, time.GetTimestamp());
        }
    }

    /// <summary>What cannot be read is left out: one bad entry must not end the reading of all others.</summary>
    private bool TryParse(ReadOnlyMemory<byte> bytes, out FeedEntry entry, [NotNullWhen(true)] out string? name, [NotNullWhen(true)] out T? value)
    {
        (name, value) = (null, null);
        try
        {
            if (!FeedEntry.TryRead(bytes, out entry)) throw new JsonException("It is no entry.");
            value = JsonSerializer.Deserialize(entry.Json.Span, options.Json) ?? throw new JsonException("It is null.");
            name = options.Name(value);
            return string.IsNullOrEmpty(name) ? throw new JsonException("It names nothing.") : true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            entry = default;
            LogUnreadable($"{hash}", exception.Message);
            return false;
        }
    }

    private void TakeNeedsLock(string name, T value, in FeedEntry entry, long freshAt)
    {
        var held = Of(name).Value;
        if (entry.Writer == _writer && held?.Writer == _writer)
        {
            // The echo of what this process published, perhaps of less than its latest.
            held.Freshen(freshAt);
        }
        else if (entry.Writer == _writer && held?.Writer == _left)
        {
            // The echo of what it has withdrawn since.
        }
        else if (held is not null && held.Writer != _writer && (entry.At <= held.At || (held.Writer == entry.Writer && held.Json.Span.SequenceEqual(entry.Json.Span))))
        {
            held.Freshen(freshAt);
        }
        else if (!_unsent.ContainsKey(name) || held?.Writer == _left)
        {
            Set(name, new LatestEntry<T>(value, entry.At, entry.Writer, entry.Json, freshAt));
        }
    }

    private async Task SendAsync(CancellationToken stoppingToken)
    {
        var backoff = new Backoff(FirstRetry, LongestRetry);
        _wake.Writer.TryWrite(true); // what a failed round left
        await foreach (var _ in _wake.Reader.ReadAllAsync(stoppingToken))
        {
            try
            {
                if (_renewed) await SendWordAsync(stoppingToken);
                foreach (var names in _unsent.Keys.Chunk(SentAtOnce)) await SendAsync(names, stoppingToken);
                backoff.Reset();
            }
            catch (ServingException exception)
            {
                LogUnsent($"{hash}", exception.Message);
                await Task.Delay(backoff.Next(), time, stoppingToken);
                _wake.Writer.TryWrite(true);
            }
        }
    }

    private async Task SendWordAsync(CancellationToken stoppingToken)
    {
        _renewed = false;
        _ = (long)await redis.EvaluateAsync(RedisLatestScripts.Renew, [_writers], [_writer], stoppingToken);
    }

    private async Task SendAsync(string[] names, CancellationToken stoppingToken)
    {
        List<RedisValue> published = [_writer], withdrawn = [_writer, FeedEntry.Nobody];
        foreach (var name in names)
        {
            _unsent.TryRemove(name, out _);
            if (Of(name).Value is not { } held) continue;
            if (held.Writer == _writer) published.AddRange([name, JsonSerializer.SerializeToUtf8Bytes(held.Value, options.Json)]);
            else if (held.Writer == _left) withdrawn.Add(name);
        }

        try
        {
            // Only the script's own answer says that it was done; any other is a fault of this round.
            if (published.Count > 1) _ = (long)await redis.EvaluateAsync(RedisLatestScripts.Publish, [hash, _writers], [.. published], stoppingToken);
            if (withdrawn.Count > 2) _ = (long)await redis.EvaluateAsync(RedisLatestScripts.Withdraw, [hash, _writers], [.. withdrawn], stoppingToken);
        }
        catch
        {
            foreach (var name in names) _unsent[name] = true;
            throw;
        }
    }

    private async Task RefreshSafelyAsync(CancellationToken stoppingToken)
    {
        try
        {
            await RefreshAsync(stoppingToken);
        }
        catch (ServingException exception)
        {
            LogNotRefreshed($"{hash}", exception.Message);
        }
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        long known;
        int there;
        lock (_lock) (known, there) = (_known.IsWhole && time.GetElapsedTime(_wholeAt) < WholeInterval ? _known.To : -1, _there.Count);
        var answer = (RedisResult[])(await redis.EvaluateAsync(
            RedisLatestScripts.Refresh, [hash, _writers], [(long)options.Lifetime.TotalMilliseconds, options.KeepAlive ? _writer : "", known, there], cancellationToken))!;

        // At the latest when the answer left: a little too old is better than too young.
        var now = time.GetTimestamp();
        var writers = (RedisValue[])answer[1]!;
        for (var i = 0; i + 1 < writers.Length; i += 2) Said((string)writers[i]!, now - ((long)writers[i + 1] * time.TimestampFrequency / 1000));
        foreach (var gone in _said.Where(said => time.GetElapsedTime(said.Value, now) > options.Lifetime).Select(said => said.Key)) _said.TryRemove(gone, out _);
        if (answer.Length > 2) TakeWhole((RedisValue[])answer[2]!, long.Parse((string)answer[0]!, CultureInfo.InvariantCulture));
    }

    private void TakeWhole(RedisValue[] entries, long number)
    {
        var now = time.GetTimestamp();
        var read = new List<(FeedEntry Entry, string Name, T Value, long FreshAt)>(entries.Length / 2);
        for (var i = 0; i + 1 < entries.Length; i += 2)
        {
            if (TryParse(entries[i], out var entry, out var name, out var value)) read.Add((entry, name, value, now - ((long)entries[i + 1] * time.TimestampFrequency / 1000)));
        }

        lock (_lock)
        {
            // What was told after it was read is known too, if it was told without a gap.
            _known = number >= _known.From - 1 && number <= _known.To ? _known with { IsWhole = true } : (number + 1, number, true);
            _wholeAt = now;
            _there.Clear();
            foreach (var (entry, name, value, freshAt) in read)
            {
                _there.Add(name);
                TakeNeedsLock(name, value, entry, freshAt);
            }

            // The store lost it: say it again.
            foreach (var (name, latest) in _held)
            {
                if (!_there.Contains(name) && latest.Value is { } held && held.Writer == _writer && Age(held) < options.Lifetime) _unsent[name] = true;
            }
        }

        if (!_unsent.IsEmpty) _wake.Writer.TryWrite(true);
    }

    [LoggerMessage(LogLevel.Warning, "An entry of {Hash} cannot be read and is left out: {Reason}")]
    private partial void LogUnreadable(string hash, string reason);

    [LoggerMessage(LogLevel.Debug, "Could not publish to {Hash}: {Reason} Tried again in a moment, unless newer ones come first")]
    private partial void LogUnsent(string hash, string reason);

    [LoggerMessage(LogLevel.Debug, "Could not read {Hash}: {Reason} What was read last stays until its lifetime is over")]
    private partial void LogNotRefreshed(string hash, string reason);
}

/// <summary>What a <see cref="RedisLatest{T}"/> holds.</summary>
/// <param name="Name">The name under which a value counts.</param>
/// <param name="Json">How it is written.</param>
/// <param name="Lifetime">After so long without a word of its writer it is forgotten.</param>
/// <param name="KeepAlive">Whether a living publisher stands by all that it said without saying so (<see cref="RedisLatest{T}.Renew"/>), until another overwrites it.</param>
internal sealed record RedisLatestOptions<T>(Func<T, string> Name, JsonTypeInfo<T> Json, TimeSpan Lifetime, bool KeepAlive);
