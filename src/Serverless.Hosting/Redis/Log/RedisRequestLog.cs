using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Hosting.Redis.Connection;
using Serverless.Requests;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Log;

/// <summary>The request log of the distributed shape: a hash and a stream per request, one script per operation (<see cref="RedisLogScripts"/>). Thread-safe.</summary>
internal sealed class RedisRequestLog(RedisConnection redis, RedisFollowers followers) : IRequestLog
{
    private readonly LogTrimmer _trimmer = new(redis);

    private const int PageOfEvents = 1000;
    private const int MaxEndHints = 65536;

    private static readonly RedisValue[] HeadFields = ["record", "promise", "holder", "attempt", "ended", "ended_at"];
    private static readonly RedisValue ChunkKind = "c";
    private static readonly RedisValue TerminalKind = "t";
    private static readonly RedisValue OtherKind = "e";

    private RedisKeys Keys => redis.Keys;

    /// <summary>Whoever opens what a connection promises follows it next: the log learns of that follower at once, and its first read is spared.</summary>
    public async ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(head);
        var run = redis.Run;
        if (head.Promise != Promise.Connection)
        {
            await redis.EvaluateAsync(RedisLogScripts.Open, [Keys.Head(id)], [.. Opening(head), run], cancellationToken);
            return;
        }

        var channel = await followers.ChannelAsync(cancellationToken);
        if ((int)await redis.EvaluateAsync(RedisLogScripts.Open, [Keys.Head(id)], [.. Opening(head), run, channel], cancellationToken) == 1) followers.Opened(id, run);
    }

    public async ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken) =>
        (int)await redis.EvaluateAsync(RedisLogScripts.Accept, Log(id), [id.Value, EventCodec.Encode(new RequestEvent.Accepted(at))], cancellationToken) == 1;

    public async ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken)
    {
        var answer = (RedisResult[])(await redis.EvaluateAsync(RedisLogScripts.Begin, Log(id), [Keys.Epochs, epoch, nonce.ToString("n")], cancellationToken))!;
        if ((BeginStatus)(int)answer[0] is var status && status != BeginStatus.Begun) return BeginResult.Refused(status);

        var (fence, last) = (new Fence((string)answer[1]!, (int)answer[2]), (long)answer[3]);
        var output = fence.Attempt > 1 && last > 0 ? await ReadOutputAsync(id, last, cancellationToken) : [];
        return new BeginResult(BeginStatus.Begun, fence, last, output, (int)answer[4]);
    }

    public async ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentOutOfRangeException.ThrowIfLessThan(fence.Attempt, 1, nameof(fence));
        RedisValue[] values = [Keys.Epochs, epoch, fence.Attempt, fence.StoreRun ?? "", .. Opening(head)];
        var answer = (RedisResult[])(await redis.EvaluateAsync(RedisLogScripts.Adopt, Log(id), values, cancellationToken))!;
        var status = (BeginStatus)(int)answer[0];
        return status == BeginStatus.Begun ? new AdoptResult(status, new Fence((string)answer[1]!, (int)answer[2]), (long)answer[3]) : new AdoptResult(status, default, 0);
    }

    public async ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(events);
        var values = new RedisValue[5 + (events.Count * 2)];
        (values[0], values[1], values[2], values[3], values[4]) = (id.Value, fence.StoreRun ?? "", fence.Attempt, fromSequence, redis.Options.MaxOutputBytes);
        for (var i = 0; i < events.Count; i++)
        {
            values[5 + (i * 2)] = events[i] is RequestEvent.Chunk ? ChunkKind : events[i].IsTerminal ? TerminalKind : OtherKind;
            values[6 + (i * 2)] = EventCodec.Encode(events[i]);
        }

        var status = (AppendStatus)(int)await redis.EvaluateAsync(RedisLogScripts.Append, Log(id), values, cancellationToken);
        if (status == AppendStatus.TooLarge) await EndAsync(id, LogLimits.TooLarge(redis.Options.MaxOutputBytes), cancellationToken);
        return status;
    }

    public async ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken)
    {
        RequireTerminal(end);
        var answer = (RedisResult[])(await redis.EvaluateAsync(RedisLogScripts.End, Log(id), [id.Value, EventCodec.Encode(end), Keys.EndsChannels], cancellationToken))!;
        return (int)answer[0] == 1;
    }

    public async ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken)
    {
        if (end is not null) RequireTerminal(end);
        RedisValue record = end is null ? RedisValue.EmptyString : EventCodec.Encode(end);
        var answer = (RedisResult[])(await redis.EvaluateAsync(RedisLogScripts.End, Log(id), [id.Value, record, Keys.EndsChannels, holder], cancellationToken))!;
        return (int)answer[0] switch
        {
            1 or 2 => new LapseResult(true, null),
            0 => new LapseResult(false, (string?)answer[1]),
            _ => default,
        };
    }

    public async ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken) =>
        (HoldResult)(int)await redis.EvaluateAsync(RedisLogScripts.Hold, [Keys.Head(id)], [(int)promise, holder], cancellationToken);

    public async ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken)
    {
        var fields = await redis.RunAsync(database => database.HashGetAsync(Keys.Head(id), HeadFields), cancellationToken);
        return fields[0].IsNull || HeadCodec.Decode(fields[0], (Promise)(int)fields[1], (string)fields[2]!) is not { } head ? null : head with
        {
            Attempts = (int)fields[3],
            Ended = !fields[4].IsNull,
            EndedAt = fields[5].IsNull ? null : DateTimeOffset.FromUnixTimeMilliseconds((long)fields[5]),
        };
    }

    public async IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var follower = await followers.AddAsync(id, afterSequence, cancellationToken);
        while (await follower.NextAsync(cancellationToken) is { } batch)
        {
            foreach (var logged in batch)
            {
                yield return logged;
                if (logged.Event.IsTerminal) yield break;
            }
        }
    }

    public void Forget(RequestId id, string holder) => _trimmer.Forget(id, holder);

    public async IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A lost hint costs work, not truth: the worker's next append is refused. So the channel may drop.
        var ends = Channel.CreateBounded<RequestId>(new BoundedChannelOptions(MaxEndHints) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
        var subscription = await redis.SubscribeAsync(RedisChannel.Literal(Keys.Ends(model)), id => ends.Writer.TryWrite(new RequestId((string)id!)), cancellationToken);
        try
        {
            await foreach (var id in ends.Reader.ReadAllAsync(cancellationToken)) yield return id;
        }
        finally
        {
            subscription.Unsubscribe(CommandFlags.FireAndForget);
        }
    }

    private static void RequireTerminal(RequestEvent end)
    {
        ArgumentNullException.ThrowIfNull(end);
        if (!end.IsTerminal) throw new ArgumentException($"{end.GetType().Name} does not end a request; give Finished, Failed or Cancelled.", nameof(end));
    }

    private RedisKey[] Log(RequestId id) => [Keys.Head(id), Keys.Events(id)];

    private RedisValue[] Opening(LogHead head) =>
    [
        HeadCodec.Encode(head), head.Model.Value, (int)head.Promise, head.Holder, head.Resumable ? 1 : 0,
        (head.Deadline + redis.Options.LogRetention).ToUnixTimeMilliseconds(),
    ];

    // In pages, so that a long output does not hold up everyone else; the fence keeps what is read from changing.
    private async ValueTask<IReadOnlyList<ChoiceChunk>> ReadOutputAsync(RequestId id, long last, CancellationToken cancellationToken)
    {
        var output = new List<ChoiceChunk>();
        for (var read = 0L; read < last;)
        {
            var from = read + 1;
            var page = await redis.RunAsync(database => database.StreamRangeAsync(Keys.Events(id), $"{from}-0", $"{last}-0", PageOfEvents), cancellationToken);
            if (page.Length == 0)
                throw new ServingException(new ServingFault(ServingError.StoreUnavailable, $"The log of '{id}' lost events {from} to {last} while they were read; begin again."));

            read += page.Length;
            foreach (var record in page.Select(entry => entry.Values[0]).Where(record => record.Name == ChunkKind))
                if (EventCodec.Decode(record.Value) is RequestEvent.Chunk chunk) output.AddRange(chunk.Choices);
        }

        return output;
    }
}
