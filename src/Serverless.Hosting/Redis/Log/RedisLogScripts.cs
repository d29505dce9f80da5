using Serverless.Hosting.Redis.Connection;

namespace Serverless.Hosting.Redis.Log;

/// <summary>
/// The log's operations, one script each. State of a log, in <c>head:{id}</c>: <c>record</c> (the head as it was opened), <c>model</c>, <c>promise</c>, <c>holder</c>,
/// <c>others</c> (who hold it beside that one, a line each, the latest first), <c>resumable</c>, <c>expires</c>; <c>attempt</c>, <c>nonce</c>, <c>idle</c> (attempts without progress), <c>progressed</c>, <c>run</c> (the server's run that gave the
/// attempt, or adopted it), <c>from</c> (the run it was adopted from); <c>bytes</c> (of output); <c>accepted</c>, <c>ended</c> (the last sequence), <c>ended_at</c> (when, in Unix milliseconds) and <c>outside</c> (no attempt ended it); <c>followers</c> (their channels).
/// <para>
/// The server's run is asked of INFO in the script itself wherever a fence is handed out or checked: there is no moment between asking and writing. It costs 7 of about 20 µs and leaves nothing to invalidate.
/// </para>
/// </summary>
internal static class RedisLogScripts
{
    // A stream's length is its last sequence: ids are 1-0, 2-0, …, and an open log is never trimmed.
    private const string Shared = """
        local function run() return string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), 1, 16) end

        local function stale(epochs, model, epoch)
          local highest = redis.call('GET', epochs .. model)
          if highest and tonumber(epoch) < tonumber(highest) then return true end
          if highest ~= epoch then redis.call('SET', epochs .. model, epoch) end
          return false
        end

        local function open(head, record, model, promise, holder, resumable, expires, now, follower)
          local fields = { 'record', record, 'model', model, 'promise', promise, 'holder', holder, 'resumable', resumable, 'expires', expires, 'attempt', 0, 'run', now }
          if follower then fields[17], fields[18] = 'followers', follower end
          redis.call('HSET', head, unpack(fields))
          redis.call('PEXPIREAT', head, expires)
        end

        local function without(name, holder, others)
          local held, rest = false, {}
          for one in string.gmatch(holder .. '\n' .. (others or ''), '[^\n]+') do
            if one == name then held = true else rest[#rest + 1] = one end
          end
          return held, rest
        end

        local function hold(head, holders) redis.call('HSET', head, 'holder', holders[1], 'others', table.concat(holders, '\n', 2)) end

        local function millis()
          local now = redis.call('TIME')
          return string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
        end

        local function append(events, expires, followers, id, now, last, kinds)
          local frames = {}
          for i = 1, #kinds, 2 do
            redis.call('XADD', events, string.format('%.0f-0', last + (i + 1) / 2), kinds[i], kinds[i + 1])
            frames[#frames + 1] = struct.pack('>I4', #kinds[i + 1])
            frames[#frames + 1] = kinds[i + 1]
          end
          if last == 0 then redis.call('PEXPIREAT', events, expires) end
          if not followers then return end
          local hint = now .. struct.pack('>I2', #id) .. id .. struct.pack('>I8', last + 1) .. table.concat(frames)
          for channel in string.gmatch(followers, '%S+') do redis.call('PUBLISH', channel, hint) end
        end

        """;

    /// <summary>
    /// KEYS head. ARGV record, model, promise, holder, resumable, expires, the run as the caller knows it, and the channel of one that will follow it, if there is one. 1 if it was opened
    /// by this. A run that is over by now costs the first attempt a hundred numbers, and the follower a read.
    /// </summary>
    public static readonly RedisScript Open = new(Shared + """
        if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
        open(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
        return 1
        """);

    /// <summary>KEYS head, events. ARGV id, record. 1 if it was accepted by this.</summary>
    public static readonly RedisScript Accept = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'attempt', 'ended', 'accepted', 'expires', 'followers')
        if not head[1] or head[2] or head[3] then return 0 end
        redis.call('HSET', KEYS[1], 'accepted', 1)
        append(KEYS[2], head[4], head[5], ARGV[1], run(), redis.call('XLEN', KEYS[2]), { 'e', ARGV[2] })
        return 1
        """);

    /// <summary>
    /// KEYS head, events. ARGV epochs, epoch, nonce. A BeginStatus, and if begun: run, attempt, last sequence, attempts without progress.
    /// A server that has another run than the last attempt may have forgotten attempts after it; the next one leaves room for their numbers, so that none of them is taken for it.
    /// </summary>
    public static readonly RedisScript Begin = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'model', 'ended', 'attempt', 'nonce', 'idle', 'progressed', 'run')
        if not head[1] then return { 3 } end
        if stale(ARGV[1], head[1], ARGV[2]) then return { 2 } end
        if head[2] then return { 1 } end
        local now, attempt, idle = run(), tonumber(head[3]), tonumber(head[5] or 0)
        local room = 0
        if head[7] ~= now then room = 100 end
        if attempt == 0 or head[4] ~= ARGV[3] then
          if attempt == 0 or head[6] == '1' then idle = 0 else idle = idle + 1 end
          attempt = attempt + 1 + room
          redis.call('HSET', KEYS[1], 'attempt', attempt, 'nonce', ARGV[3], 'idle', idle, 'progressed', 0, 'run', now, 'from', '', 'accepted', 1)
        elseif room > 0 then
          attempt = attempt + 1 + room
          redis.call('HSET', KEYS[1], 'attempt', attempt, 'run', now, 'from', '')
        end
        return { 0, now, attempt, redis.call('XLEN', KEYS[2]), idle }
        """);

    /// <summary>
    /// KEYS head, events. ARGV epochs, epoch, attempt, the run of its fence or nothing, then as <see cref="Open"/>. A BeginStatus, and if begun: run, attempt, last sequence.
    /// An attempt of the same number and another run is another attempt; but one that was adopted may be adopted again by the fence it had before.
    /// </summary>
    public static readonly RedisScript Adopt = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'model', 'ended', 'attempt', 'run', 'from')
        if stale(ARGV[1], head[1] or ARGV[6], ARGV[2]) then return { 2 } end
        if head[2] then return { 1 } end
        local now, attempt, fence = run(), tonumber(ARGV[3]), ARGV[4]
        local known = tonumber(head[3] or 0)
        if not head[1] then open(KEYS[1], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], now) end
        if attempt < known or (attempt == known and fence ~= '' and fence ~= head[4] and fence ~= head[5]) then return { 4 } end
        if attempt > known then redis.call('HSET', KEYS[1], 'attempt', attempt, 'nonce', '', 'run', now, 'from', fence)
        elseif head[4] ~= now then redis.call('HSET', KEYS[1], 'run', now, 'from', fence) end
        return { 0, now, attempt, redis.call('XLEN', KEYS[2]) }
        """);

    /// <summary>KEYS head, events. ARGV id, run, attempt, first sequence, most bytes of output, then kind and record of each event; kinds: c chunk, e other, t terminal. An AppendStatus.</summary>
    public static readonly RedisScript Append = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'attempt', 'ended', 'outside', 'progressed', 'expires', 'followers', 'bytes')
        local attempt = tonumber(ARGV[3])
        if #ARGV[2] ~= 16 or not string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[2], 1, true) then
          if head[2] then return 2 end
          if head[1] and attempt < tonumber(head[1]) then return 1 end
          return 5
        end
        if not head[1] then return 4 end
        if attempt ~= tonumber(head[1]) then return 1 end
        local last = tonumber(head[2] or redis.call('XLEN', KEYS[2]))
        local from, count = tonumber(ARGV[4]), (#ARGV - 5) / 2
        if from > last + 1 then return 3 end
        if head[3] and from + count > last then return 2 end
        local known = last + 1 - from
        if known >= count then return 0 end
        if head[2] then return 2 end
        local kinds, progressed, ended, bytes = {}, false, false, tonumber(head[7] or 0)
        for i = 6 + known * 2, #ARGV, 2 do
          if not ended then
            kinds[#kinds + 1] = ARGV[i]
            kinds[#kinds + 1] = ARGV[i + 1]
            if ARGV[i] == 'c' then
              progressed = true
              bytes = bytes + #ARGV[i + 1]
            end
            ended = ARGV[i] == 't'
          end
        end
        if progressed and bytes > tonumber(ARGV[5]) then return 6 end
        append(KEYS[2], head[5], head[6], ARGV[1], ARGV[2], last, kinds)
        if ended then redis.call('HSET', KEYS[1], 'ended', last + #kinds / 2, 'ended_at', millis(), 'progressed', progressed and 1 or head[4])
        elseif progressed then redis.call('HSET', KEYS[1], 'progressed', 1, 'bytes', bytes) end
        return 0
        """);

    /// <summary>
    /// KEYS head, events. ARGV id, record (for a lapse perhaps empty: it then ends nothing), channel of ends without the model, and for a lapse the holder. 1 it ended it, 2 it had ended,
    /// 3 there is none; 0 and who holds it still.
    /// </summary>
    public static readonly RedisScript End = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'model', 'ended', 'promise', 'holder', 'expires', 'followers', 'others')
        if not head[1] then return { 3 } end
        if head[2] then return { 2 } end
        if ARGV[4] then
          if head[3] ~= '0' then return { 0, head[4] } end
          local holds, rest = without(ARGV[4], head[4], head[7])
          if #rest > 0 then
            if holds then hold(KEYS[1], rest) end
            return { 0, rest[1] }
          end
          if not holds or ARGV[2] == '' then return { 0, head[4] } end
        end
        local last = redis.call('XLEN', KEYS[2])
        redis.call('HSET', KEYS[1], 'ended', last + 1, 'ended_at', millis(), 'outside', 1)
        append(KEYS[2], head[5], head[6], ARGV[1], run(), last, { 't', ARGV[2] })
        redis.call('PUBLISH', ARGV[3] .. head[1], ARGV[1])
        return { 1 }
        """);

    /// <summary>KEYS head. ARGV promise, holder. A HoldResult.</summary>
    public static readonly RedisScript Hold = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'attempt', 'ended', 'promise', 'holder', 'others')
        if not head[1] then return 2 end
        if head[2] then return 1 end
        if ARGV[1] ~= '0' then redis.call('HSET', KEYS[1], 'promise', ARGV[1], 'holder', ARGV[2], 'others', '')
        elseif head[3] == '0' then
          local _, holders = without(ARGV[2], head[4], head[5])
          table.insert(holders, 1, ARGV[2])
          hold(KEYS[1], holders)
        end
        return 0
        """);

    /// <summary>
    /// KEYS head, events. ARGV the follower's channel, the sequence after which to read, about how many and how many bytes of them. Run, last sequence (-1: no log), whether it ended, and kind and record of
    /// each event. From the same moment on the channel gets what is appended.
    /// </summary>
    public static readonly RedisScript Read = new(Shared + """
        local head = redis.call('HMGET', KEYS[1], 'attempt', 'ended', 'followers')
        if not head[1] then return { run(), -1, 0, {} } end
        if not head[2] and not string.find(head[3] or '', ARGV[1], 1, true) then
          redis.call('HSET', KEYS[1], 'followers', head[3] and head[3] .. ' ' .. ARGV[1] or ARGV[1])
        end
        local records, bytes, from = {}, 0, ARGV[2] + 1
        while #records < tonumber(ARGV[3]) and bytes < tonumber(ARGV[4]) do
          local some = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', from), '+', 'COUNT', 50)
          if #some == 0 then break end
          for _, entry in ipairs(some) do
            if bytes >= tonumber(ARGV[4]) then break end
            records[#records + 1] = entry[2][2]
            bytes = bytes + #entry[2][2]
          end
          from = from + #some
        end
        return { run(), tonumber(head[2] or redis.call('XLEN', KEYS[2])), head[2] and 1 or 0, records }
        """);

    /// <summary>ARGV heads, streams, the followers' channel, then id and last sequence read of each. Run, and the places (from 0) of those whose log is another than was read.</summary>
    public static readonly RedisScript Sweep = new(Shared + """
        local changed = {}
        for i = 4, #ARGV, 2 do
          local head = redis.call('HMGET', ARGV[1] .. ARGV[i], 'attempt', 'ended', 'followers')
          if not head[1] or head[2] or not string.find(head[3] or '', ARGV[3], 1, true) or redis.call('XLEN', ARGV[2] .. ARGV[i]) ~= tonumber(ARGV[i + 1]) then
            changed[#changed + 1] = (i - 4) / 2
          end
        end
        return { run(), changed }
        """);

    /// <summary>KEYS head and events of each log. ARGV who holds each. Frees the events of those that ended, are held by that one alone, and that nobody may come back for; their heads stay and refuse what comes late.</summary>
    public static readonly RedisScript Forget = new("""
        local gone = {}
        for i = 1, #KEYS, 2 do
          local head = redis.call('HMGET', KEYS[i], 'ended', 'promise', 'resumable', 'holder', 'others')
          if head[1] and head[2] == '0' and head[3] == '0' and head[4] == ARGV[(i + 1) / 2] and (head[5] or '') == '' then gone[#gone + 1] = KEYS[i + 1] end
        end
        if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
        return 0
        """);
}
