using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Hosting.Redis.Connection;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// The plan, in a hash by model beside a head that fences planners by their epoch, and told to a channel without the planners' memory. A follower that missed something (its numbers have a gap,
/// a reconnection, two seconds of silence) reads the hash.
/// </summary>
internal sealed partial class RedisPlanFeed(RedisConnection redis, TimeProvider time, ILogger<RedisPlanFeed> logger) : IPlanFeed
{
    private const int ModelsAtOnce = 200;
    private const int KeptMessages = 256;

    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(2);

    /// <summary>KEYS head, plans. ARGV epoch, time in ms, what the channel is told, then model and plan in turn. The sequence; 0: a later planner has written.</summary>
    private static readonly RedisScript Write = new("""
        if tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) > tonumber(ARGV[1]) then return 0 end
        local sequence = redis.call('HINCRBY', KEYS[1], 'sequence', 1)
        redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'at', ARGV[2])
        for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
        redis.call('PUBLISH', KEYS[2], ARGV[1] .. ' ' .. sequence .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
        return sequence
        """);

    /// <summary>KEYS head, plans. ARGV epoch and sequence that are known already. Nothing where these are the latest; else epoch, sequence, time and each model's plan.</summary>
    private static readonly RedisScript Read = new("""
        local head = redis.call('HMGET', KEYS[1], 'epoch', 'sequence', 'at')
        if not head[1] or (head[1] == ARGV[1] and head[2] == ARGV[2]) then return {} end
        local all = redis.call('HVALS', KEYS[2])
        table.insert(all, 1, head[3]); table.insert(all, 1, head[2]); table.insert(all, 1, head[1])
        return all
        """);

    public async ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> plans, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plans);
        foreach (var chunk in plans.Count == 0 ? [[]] : plans.Chunk(ModelsAtOnce))
        {
            SharedPlan[] told = [.. chunk.Select(plan => plan with { Memory = PlannerMemory.Empty })];
            RedisValue[] values =
            [
                epoch, at.ToUnixTimeMilliseconds(), JsonSerializer.SerializeToUtf8Bytes(told, FeedJson.Default.SharedPlanArray),
                .. chunk.SelectMany(plan => new RedisValue[] { plan.Model.Value, JsonSerializer.SerializeToUtf8Bytes(plan, FeedJson.Default.SharedPlan) }),
            ];
            if ((long)await redis.EvaluateAsync(Write, [redis.Keys.PlanHead, redis.Keys.Plans], values, cancellationToken) == 0) return false;
        }

        return true;
    }

    public ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken) => ReadAsync(null, cancellationToken);

    public async IAsyncEnumerable<PlanUpdate> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A null says: read. What does not fit is read as well, for its number is missing then.
        var messages = Channel.CreateBounded<PlanUpdate?>(new BoundedChannelOptions(KeptMessages) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        var subscription = await SubscribeAsync(message => messages.Writer.TryWrite(Parse(message)), cancellationToken);
        EventHandler reconnected = (_, _) => messages.Writer.TryWrite(null);
        redis.Reconnected += reconnected;
        try
        {
            PlanUpdate? last = null;
            messages.Writer.TryWrite(null);
            while (true)
            {
                var next = await NextAsync(messages.Reader, cancellationToken);
                if (next is not null && last is not null && next.Epoch == last.Epoch && next.Sequence <= last.Sequence) continue;
                if (next is null || last is null || next.Sequence != last.Sequence + 1) next = await TryReadAsync(last, cancellationToken);
                if (next is not null) yield return last = next;
            }
        }
        finally
        {
            redis.Reconnected -= reconnected;
            await subscription.UnsubscribeAsync(CommandFlags.FireAndForget);
        }
    }

    private async Task<ChannelMessageQueue> SubscribeAsync(Action<RedisValue> receive, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await redis.SubscribeAsync(RedisKeys.Changes(redis.Keys.Plans), receive, cancellationToken);
            }
            catch (ServingException exception)
            {
                LogUnreachable(exception.Message);
                await Task.Delay(Silence, time, cancellationToken);
            }
        }
    }

    private async Task<PlanUpdate?> NextAsync(ChannelReader<PlanUpdate?> messages, CancellationToken cancellationToken)
    {
        if (messages.TryRead(out var next)) return next;

        using var silence = new CancellationTokenSource(Silence, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        try
        {
            return await messages.ReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private async ValueTask<PlanUpdate?> TryReadAsync(PlanUpdate? known, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadAsync(known, cancellationToken);
        }
        catch (ServingException exception)
        {
            LogUnreachable(exception.Message);
            return null;
        }
    }

    private async ValueTask<PlanUpdate?> ReadAsync(PlanUpdate? known, CancellationToken cancellationToken)
    {
        var answer = (RedisValue[])(await redis.EvaluateAsync(Read, [redis.Keys.PlanHead, redis.Keys.Plans], [known?.Epoch ?? -1, known?.Sequence ?? -1], cancellationToken))!;
        if (answer.Length < 3) return null;

        var plans = answer.Skip(3).Select(json => Deserialize(json, FeedJson.Default.SharedPlan)).OfType<SharedPlan>();
        return new PlanUpdate((long)answer[0], (long)answer[1], DateTimeOffset.FromUnixTimeMilliseconds((long)answer[2]), [.. plans]);
    }

    private PlanUpdate? Parse(ReadOnlyMemory<byte> message)
    {
        Span<Range> parts = stackalloc Range[4];
        var head = System.Text.Encoding.UTF8.GetString(message.Span[..Math.Min(message.Length, 80)]);
        if (head.AsSpan().Split(parts, ' ') < 4
            || !long.TryParse(head[parts[0]], CultureInfo.InvariantCulture, out var epoch)
            || !long.TryParse(head[parts[1]], CultureInfo.InvariantCulture, out var sequence)
            || !long.TryParse(head[parts[2]], CultureInfo.InvariantCulture, out var at)) return null;

        var plans = Deserialize(message[parts[3].Start.GetOffset(head.Length)..], FeedJson.Default.SharedPlanArray);
        return plans is null ? null : new PlanUpdate(epoch, sequence, DateTimeOffset.FromUnixTimeMilliseconds(at), plans);
    }

    private T? Deserialize<T>(ReadOnlyMemory<byte> json, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(json.Span, type);
        }
        catch (JsonException exception)
        {
            LogUnreadable(exception.Message);
            return null;
        }
    }

    [LoggerMessage(LogLevel.Debug, "Could not follow the plan: {Reason} The last one stays")]
    private partial void LogUnreachable(string reason);

    [LoggerMessage(LogLevel.Warning, "A plan cannot be read and is left out: {Reason}")]
    private partial void LogUnreadable(string reason);
}
