using Serverless.Hosting.Redis.Connection;
using Serverless.Leases;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Leases;

/// <summary>Leases that Redis' clock ends. A lease lost with the store's last seconds is followed by one of a higher epoch all the same: epochs follow the time.</summary>
internal sealed class RedisLeases(RedisConnection redis) : ILeases
{
    /// <summary>Leases in one call: so many that Redis is not held up, for each takes it about two microseconds.</summary>
    private const int AtOnce = 500;

    /// <summary>Who holds a lease, its epoch, and what it is held under: false, where the lease that it is held under (a field of it) is not held any more with the epoch that it had.</summary>
    private const string Held = """
        local epochs = {}
        local function held(key)
          local lease = redis.call('HMGET', key, 'holder', 'epoch', 'under', 'guard')
          local under = lease[3]
          if under and epochs[under] == nil then epochs[under] = redis.call('HGET', under, 'epoch') end
          if under and epochs[under] ~= lease[4] then return false, false end
          return lease[1], lease[2], under, lease[4]
        end

        """;

    /// <summary>KEYS names, the lease that they are to be held under, then lease and its epoch in turn. ARGV holder, milliseconds, epoch of the one they are held under or nothing, then the names. The epoch of each, or 0.</summary>
    private static readonly RedisScript Acquire = new(Held + """
        local time, got, guard = redis.call('TIME'), {}, ARGV[3]
        if guard ~= '' and redis.call('HGET', KEYS[2], 'epoch') ~= guard then return got end
        for i = 3, #KEYS, 2 do
          local holder, epoch, under, its = held(KEYS[i])
          if holder and (holder ~= ARGV[1] or guard ~= '' and (under ~= KEYS[2] or its ~= guard)) then
            got[#got + 1] = '0'
          else
            if not holder then
              epoch = string.format('%.0f', math.max(tonumber(redis.call('GET', KEYS[i + 1]) or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000)))
              redis.call('SET', KEYS[i + 1], epoch)
              redis.call('HSET', KEYS[i], 'holder', ARGV[1], 'epoch', epoch)
              redis.call('ZADD', KEYS[1], 0, ARGV[3 + (i - 1) / 2])
            end
            if guard ~= '' then redis.call('HSET', KEYS[i], 'under', KEYS[2], 'guard', guard) else redis.call('HDEL', KEYS[i], 'under', 'guard') end
            redis.call('PEXPIRE', KEYS[i], ARGV[2])
            got[#got + 1] = epoch
          end
        end
        return got
        """);

    /// <summary>KEYS leases. ARGV milliseconds, then holder and epoch of each. 1 for each that is held still, else 0.</summary>
    private static readonly RedisScript Renew = new(Held + """
        local renewed = {}
        for i = 1, #KEYS do
          local holder, epoch = held(KEYS[i])
          renewed[i] = holder == ARGV[2 * i] and epoch == ARGV[2 * i + 1] and redis.call('PEXPIRE', KEYS[i], ARGV[1]) or 0
        end
        return renewed
        """);

    /// <summary>KEYS lease, names. ARGV holder, epoch, name.</summary>
    private static readonly RedisScript Release = new(Held + """
        local holder, epoch = held(KEYS[1])
        if holder ~= ARGV[1] or epoch ~= ARGV[2] then return 0 end
        redis.call('ZREM', KEYS[2], ARGV[3])
        return redis.call('DEL', KEYS[1])
        """);

    /// <summary>KEYS lease. Holder and epoch, or nothing.</summary>
    private static readonly RedisScript Read = new(Held + """
        local holder, epoch = held(KEYS[1])
        return holder and { holder, epoch } or {}
        """);

    /// <summary>KEYS names. ARGV prefix of lease keys, from, to. Name, holder and epoch of each; those that ran out are forgotten.</summary>
    private static readonly RedisScript List = new(Held + """
        local leases = {}
        for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3])) do
          local holder, epoch = held(ARGV[1] .. name)
          if holder then
            for _, field in ipairs({ name, holder, epoch }) do leases[#leases + 1] = field end
          else
            redis.call('ZREM', KEYS[1], name)
          end
        end
        return leases
        """);

    private RedisKeys Keys => redis.Keys;

    public async ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) =>
        (await AcquireAsync([name], holder, timeToLive, null, cancellationToken)).SingleOrDefault();

    public async ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        return (await RenewAsync([lease], timeToLive, cancellationToken)).Count == 1;
    }

    public async ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(names);
        var got = new List<Lease>(names.Count);
        foreach (var some in names.Chunk(AtOnce))
        {
            RedisKey[] keys = [Keys.LeaseNames, under is null ? Keys.LeaseNames : Keys.Lease(under.Name), .. some.SelectMany(name => new[] { Keys.Lease(name), Keys.LeaseEpoch(name) })];
            RedisValue[] values = [holder, Milliseconds(timeToLive), under is null ? "" : under.Epoch, .. some.Select(name => (RedisValue)name)];
            var epochs = (RedisValue[])(await redis.EvaluateAsync(Acquire, keys, values, cancellationToken))!;
            got.AddRange(some.Zip(epochs, (name, epoch) => new Lease(name, holder, (long)epoch)).Where(lease => lease.Epoch > 0));
        }

        return got;
    }

    public async ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> leases, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(leases);
        var held = new List<Lease>(leases.Count);
        foreach (var some in leases.Chunk(AtOnce))
        {
            RedisValue[] values = [Milliseconds(timeToLive), .. some.SelectMany(lease => new RedisValue[] { lease.Holder, lease.Epoch })];
            var renewed = (RedisValue[])(await redis.EvaluateAsync(Renew, [.. some.Select(lease => Keys.Lease(lease.Name))], values, cancellationToken))!;
            held.AddRange(some.Zip(renewed).Where(pair => pair.Second == 1).Select(pair => pair.First));
        }

        return held;
    }

    public async ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(lease);
        await redis.EvaluateAsync(Release, [Keys.Lease(lease.Name), Keys.LeaseNames], [lease.Holder, lease.Epoch, lease.Name], cancellationToken);
    }

    public async ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        var held = (RedisValue[])(await redis.EvaluateAsync(Read, [Keys.Lease(name)], [], cancellationToken))!;
        return held is [var holder, var epoch] ? new Lease(name, (string)holder!, (long)epoch) : null;
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
