using Serverless.Hosting.Redis.Connection;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>Publishing to a hash and its channel of the same name, and reading it; an entry is a <see cref="FeedEntry"/>.</summary>
internal static class RedisLatestScripts
{
    private const string Now = """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)

        """;

    /// <summary>KEYS hash. ARGV name, writer, JSON. The times of a name's entries rise, so that readers can tell which is the later.</summary>
    public static readonly RedisScript Publish = new(Now + """
        local last = redis.call('HGET', KEYS[1], ARGV[1])
        now = math.max(now, last and (tonumber(string.match(last, '^(%d+) ')) or 0) + 1 or 0)
        local entry = string.format('%.0f %s ', now, ARGV[2]) .. ARGV[3]
        redis.call('HSET', KEYS[1], ARGV[1], entry)
        redis.call('PUBLISH', KEYS[1], entry)
        return 1
        """);

    /// <summary>KEYS hash. ARGV lifetime in milliseconds, and the writer whose entries are kept fresh, or nothing. Each entry and its age in milliseconds; those past their lifetime are removed.</summary>
    public static readonly RedisScript Refresh = new(Now + """
        local all, fresh = redis.call('HGETALL', KEYS[1]), {}
        for i = 1, #all, 2 do
          local at, writer, json = string.match(all[i + 1], '^(%d+) (%S+) (.*)$')
          local age = now - (tonumber(at) or 0)
          if writer and writer == ARGV[2] and age > ARGV[1] / 4 then
            all[i + 1] = string.format('%.0f %s ', now, writer) .. json
            redis.call('HSET', KEYS[1], all[i], all[i + 1])
            age = 0
          end
          if age > tonumber(ARGV[1]) then
            redis.call('HDEL', KEYS[1], all[i])
          else
            fresh[#fresh + 1] = all[i + 1]
            fresh[#fresh + 1] = string.format('%.0f', age)
          end
        end
        return fresh
        """);
}
