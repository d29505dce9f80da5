using Serverless.Hosting.Redis.Log;
using Serverless.Requests;

namespace Serverless.Benchmarks;

/// <summary>One request of the log's benchmark: its writer's place and its follower's count.</summary>
internal sealed class BenchmarkStream
{
    private readonly Fence _fence;
    private readonly Lock _lock = new();
    private TaskCompletionSource? _waiter;
    private long _awaited;
    private long _seen;

    public BenchmarkStream(RequestId id, Fence fence, RedisRequestLog gateway)
    {
        (Id, _fence) = (id, fence);
        Following = FollowAsync(gateway);
    }

    public RequestId Id { get; }

    /// <summary>The next sequence to append.</summary>
    public long Next { get; private set; } = 1;

    public long Seen => Volatile.Read(ref _seen);

    public Task Following { get; }

    public async Task AppendAsync(RedisRequestLog worker, CancellationToken cancellationToken)
    {
        var chunk = new RequestEvent.Chunk([new ChoiceChunk(0, (int)Next - 1, [(int)Next], " word")]);
        var status = await worker.AppendAsync(Id, _fence, Next++, [chunk], cancellationToken);
        if (status != AppendStatus.Accepted) throw new InvalidOperationException($"An append was answered with {status}.");
    }

    public Task SeenAsync(long events)
    {
        lock (_lock)
        {
            if (_seen >= events) return Task.CompletedTask;
            (_awaited, _waiter) = (events, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            return _waiter.Task;
        }
    }

    private async Task FollowAsync(RedisRequestLog gateway)
    {
        await foreach (var logged in gateway.FollowAsync(Id, 0, CancellationToken.None))
        {
            if (logged.Sequence != _seen + 1) throw new InvalidOperationException($"Event {logged.Sequence} came after {_seen}.");
            TaskCompletionSource? waiter = null;
            lock (_lock)
            {
                _seen++;
                if (_waiter is not null && _seen >= _awaited) (waiter, _waiter) = (_waiter, null);
            }

            waiter?.SetResult();
        }
    }
}
