using Serverless.Hosting.Redis.Connection;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// Publishing to a hash and its channel of the same name, and reading it; an entry is a <see cref="FeedEntry"/>. Beside it a hash of writers: when each last stood by all that it
/// wrote, in the store's time, and under <c>@</c> how many entries were ever written, by which a reader knows without reading whether it has them all.
/// </summary>
internal static class RedisLatestScripts
{
    private const string Now = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)

        """;

    /// <summary>KEYS hash, writers. ARGV writer, then name and JSON in turn. The times of a name's entries rise, so that readers can tell which is the later.</summary>
    public static readonly RedisScript Publish = new(Now + """
        for i = 2, #ARGV, 2 do
          local last = redis.call('HGET', KEYS[1], ARGV[i])
          local at = math.max(now, last and (tonumber(string.match(last, '^(%d+) ')) or 0) + 1 or 0)
          local entry = string.format('%.0f %s/%d ', at, ARGV[1], redis.call('HINCRBY', KEYS[2], '@', 1)) .. ARGV[i + 1]
          redis.call('HSET', KEYS[1], ARGV[i], entry)
          redis.call('PUBLISH', KEYS[1], entry)
        end
        return 1
        """);

    /// <summary>KEYS writers. ARGV writer. One word for all that it has published, told to the channel of that name.</summary>
    public static readonly RedisScript Renew = new(Now + """
        redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
        return redis.call('PUBLISH', KEYS[1], ARGV[1])
        """);

    /// <summary>KEYS hash, writers. ARGV writer, nobody, then names. What the writer wrote there last is nobody's from now on: it ages.</summary>
    public static readonly RedisScript Withdraw = new(Now + """
        for i = 3, #ARGV do
          local last = redis.call('HGET', KEYS[1], ARGV[i])
          local at, writer, json = string.match(last or '', '^(%d+) ([^/ ]+)%S* (.*)$')
          if writer == ARGV[1] then
            local entry = string.format('%.0f %s/%d ', math.max(now, tonumber(at) + 1), ARGV[2], redis.call('HINCRBY', KEYS[2], '@', 1)) .. json
            redis.call('HSET', KEYS[1], ARGV[i], entry)
            redis.call('PUBLISH', KEYS[1], entry)
          end
        end
        return 1
        """);

    /// <summary>
    /// KEYS hash, writers. ARGV lifetime in milliseconds, the writer whose entries are kept fresh by this, or nothing, and how many entries were ever written and stand there as the
    /// reader knows. The number written, writers with the age of their word, and, where the reader misses something, each entry with its age in milliseconds, else nothing.
    /// Entries and writers past their lifetime are removed.
    /// </summary>
    public static readonly RedisScript Refresh = new(Now + """
        if ARGV[2] ~= '' then redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', now)) end
        local lifetime, said, writers, number = tonumber(ARGV[1]), {}, {}, '0'
        local all = redis.call('HGETALL', KEYS[2])
        for i = 1, #all, 2 do
          if all[i] == '@' then
            number = all[i + 1]
          elseif now - tonumber(all[i + 1]) > lifetime then
            redis.call('HDEL', KEYS[2], all[i])
          else
            said[all[i]] = now - tonumber(all[i + 1])
            writers[#writers + 1] = all[i]
            writers[#writers + 1] = string.format('%.0f', said[all[i]])
          end
        end
        if number == ARGV[3] and redis.call('HLEN', KEYS[1]) == tonumber(ARGV[4]) then return { number, writers } end
        local entries = {}
        all = redis.call('HGETALL', KEYS[1])
        for i = 1, #all, 2 do
          local at, writer = string.match(all[i + 1], '^(%d+) ([^/ ]+)')
          local age = now - (tonumber(at) or 0)
          if math.min(age, said[writer] or age) > lifetime then
            redis.call('HDEL', KEYS[1], all[i])
          else
            entries[#entries + 1] = all[i + 1]
            entries[#entries + 1] = string.format('%.0f', age)
          end
        end
        return { number, writers, entries }
        """);
}
