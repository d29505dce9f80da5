using Serverless.Hosting.Redis.Connection;
using Serverless.Leases;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Leases;

/// <summary>Leases that Redis' clock ends. A lease lost with the store's last seconds is followed by one of a higher epoch all the same: epochs follow the time.</summary>
internal sealed class RedisLeases(RedisConnection redis) : ILeases
{
    /// <summary>KEYS lease, its epoch, names. ARGV holder, milliseconds, name. The epoch, or nil.</summary>
    private static readonly RedisScript Acquire = new("""
        local held = redis.call('HMGET', KEYS[1], 'holder', 'epoch')
        if held[1] and held[1] ~= ARGV[1] then return false end
        local epoch = held[2]
        if not epoch then
          local time = redis.call('TIME')
          epoch = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[2]) or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000)))
          redis.call('SET', KEYS[2], epoch)
          redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'epoch', epoch)
          redis.call('ZADD', KEYS[3], 0, ARGV[3])
        end
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return epoch
        """);

    /// <summary>KEYS lease. ARGV holder, epoch, milliseconds.</summary>
    private static readonly RedisScript Renew = new("""
        local held = redis.call('HMGET', KEYS[1], 'holder', 'epoch')
        if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
        return redis.call('PEXPIRE', KEYS[1], ARGV[3])
        """);

    /// <summary>KEYS lease, names. ARGV holder, epoch, name.</summary>
    private static readonly RedisScript Release = new("""
        local held = redis.call('HMGET', KEYS[1], 'holder', 'epoch')
        if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
        redis.call('ZREM', KEYS[2], ARGV[3])
        return redis.call('DEL', KEYS[1])
        """);

    /// <summary>KEYS names. ARGV prefix of lease keys, from, to. Name, holder and epoch of each; those that ran out are forgotten.</summary>
    private static readonly RedisScript List = new("""
        local leases = {}
        for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3])) do
          local held = redis.call('HMGET', ARGV[1] .. name, 'holder', 'epoch')
          if held[1] then
            for _, field in ipairs({ name, held[1], held[2] }) do leases[#leases + 1] = field end
          else
            redis.call('ZREM', KEYS[1], name)
          end
        end
        return leases
        """);

    private RedisKeys Keys => redis.Keys;

    public async ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        var epoch = await redis.EvaluateAsync(Acquire, [Keys.Lease(name), Keys.LeaseEpoch(name), Keys.LeaseNames], [holder, Milliseconds(timeToLive), name], cancellationToken);
        return epoch.IsNull ? null : new Lease(name, holder, (long)epoch);
    }

    public async ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return (int)await redis.EvaluateAsync(Renew, [Keys.Lease(lease.Name)], [lease.Holder, lease.Epoch, Milliseconds(timeToLive)], cancellationToken) == 1;
    }

    public async ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(names);
        var got = await Task.WhenAll(names.Select(name => AcquireAsync(name, holder, timeToLive, cancellationToken).AsTask()));
        return [.. got.OfType<Lease>()];
    }

    public async ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> leases, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(leases);
        var held = await Task.WhenAll(leases.Select(async lease => await RenewAsync(lease, timeToLive, cancellationToken) ? lease : null));
        return [.. held.OfType<Lease>()];
    }

    public async ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        await redis.EvaluateAsync(Release, [Keys.Lease(lease.Name), Keys.LeaseNames], [lease.Holder, lease.Epoch, lease.Name], cancellationToken);
    }

    public async ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        var held = await redis.RunAsync(database => database.HashGetAsync(Keys.Lease(name), ["holder", "epoch"]), cancellationToken);
        return held[0].IsNull ? null : new Lease(name, (string)held[0]!, (long)held[1]);
    }

    public async ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        // No UTF-8 text holds the byte 0xFF, so it ends the range of names that begin with the prefix.
        byte[] to = [(byte)'(', .. System.Text.Encoding.UTF8.GetBytes(prefix), 0xFF];
        var found = (RedisValue[])(await redis.EvaluateAsync(List, [Keys.LeaseNames], [Keys.LeasePrefix, "[" + prefix, to], cancellationToken))!;
        return [.. found.Chunk(3).Select(lease => new Lease((string)lease[0]!, (string)lease[1]!, (long)lease[2]))];
    }

    private static long Milliseconds(TimeSpan timeToLive) => Math.Max(1, (long)timeToLive.TotalMilliseconds);
}
