using Serverless.Hosting.Redis.Connection;
using Serverless.Requests;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Log;

/// <summary>Frees the events of logs whose answers were given: at once where that happens now and then, and where many end, all that ended during the last call in one. Thread-safe.</summary>
internal sealed class LogTrimmer(RedisConnection redis)
{
    private const int MostAtOnce = 100;

    // While Redis is away they expire by themselves.
    private const int MostWaiting = 10_000;

    private readonly Lock _lock = new();
    private readonly Queue<(RequestId Id, string Holder)> _due = new();
    private bool _isSending;

    public void Forget(RequestId id, string holder)
    {
        lock (_lock)
        {
            if (_due.Count < MostWaiting) _due.Enqueue((id, holder));
            if (_isSending) return;
            _isSending = true;
        }

        _ = SendAllAsync();
    }

    private async Task SendAllAsync()
    {
        while (Take() is { Length: > 0 } some)
        {
            try
            {
                RedisKey[] keys = [.. some.SelectMany(log => new[] { redis.Keys.Head(log.Id), redis.Keys.Events(log.Id) })];
                await redis.EvaluateAsync(RedisLogScripts.Forget, keys, [.. some.Select(log => (RedisValue)log.Holder)], CancellationToken.None);
            }
            catch (Exception)
            {
                // Whatever it was: they expire by themselves, and the next ones are tried again.
            }
        }
    }

    private (RequestId Id, string Holder)[] Take()
    {
        lock (_lock)
        {
            var some = new (RequestId, string)[Math.Min(MostAtOnce, _due.Count)];
            for (var i = 0; i < some.Length; i++) some[i] = _due.Dequeue();
            _isSending = some.Length > 0;
            return some;
        }
    }
}
