using Serverless.Errors;
using Serverless.Requests;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Log;

/// <summary>Frees the events of logs that were read to their end: at once where that happens now and then, and where many end, all that ended during the last call in one. Thread-safe.</summary>
internal sealed class RedisForgetting(RedisConnection redis)
{
    private const int MostAtOnce = 100;

    private readonly Lock _lock = new();
    private readonly Queue<RequestId> _due = new();
    private bool _isSending;

    public void Forget(RequestId id)
    {
        lock (_lock)
        {
            _due.Enqueue(id);
            if (_isSending) return;
            _isSending = true;
        }

        _ = SendAllAsync();
    }

    private async Task SendAllAsync()
    {
        while (Take() is { Length: > 0 } keys)
        {
            try
            {
                await redis.EvaluateAsync(RedisLogScripts.Forget, keys, [], CancellationToken.None);
            }
            catch (Exception exception) when (exception is ServingException or RedisException or InvalidOperationException)
            {
                // They expire by themselves.
            }
        }
    }

    private RedisKey[] Take()
    {
        lock (_lock)
        {
            var keys = new RedisKey[2 * Math.Min(MostAtOnce, _due.Count)];
            for (var i = 0; i < keys.Length; i += 2)
            {
                var id = _due.Dequeue();
                (keys[i], keys[i + 1]) = (redis.Keys.Head(id), redis.Keys.Events(id));
            }

            _isSending = keys.Length > 0;
            return keys;
        }
    }
}
