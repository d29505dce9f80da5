using System.Globalization;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>Whether a server keeps what it is given. Reads INFO, which managed services answer too where they refuse CONFIG.</summary>
internal static class RedisServerCheck
{
    /// <summary>Characters by which scripts, fences and hints name a run of the server.</summary>
    public const int RunLength = 16;

    private static readonly Version Oldest = new(6, 2);

    /// <summary>What is wrong, with the value found and the fix, as the rest of a sentence; null if it will do.</summary>
    public static string? Find(RedisResult info) => Find((string?)info ?? "");

    /// <summary>The server's run, as scripts call it.</summary>
    public static string Run(RedisResult info) => Fields((string?)info ?? "").GetValueOrDefault("run_id", "") is { Length: >= RunLength } run ? run[..RunLength] : "";

    public static string? Find(string info)
    {
        var fields = Fields(info);
        var faults = new List<string>();
        if (Get("redis_mode", "standalone") == "cluster")
            faults.Add("runs in cluster mode (cluster-enabled yes), which is not supported: use one primary with replicas.");
        if (Version.TryParse(Get("redis_version", "0.0"), out var version) && version < Oldest)
            faults.Add(string.Create(CultureInfo.InvariantCulture, $"has version {version}; at least {Oldest} is needed."));
        if (Get("aof_enabled", "0") != "1")
            faults.Add("has no append-only file (appendonly no): a restart would lose every open request. Set 'appendonly yes' in its configuration, or CONFIG SET appendonly yes.");
        if (Get("maxmemory_policy", "noeviction") is var policy && policy != "noeviction")
            faults.Add($"evicts keys when its memory is full (maxmemory-policy {policy}): open requests would vanish. Set 'maxmemory-policy noeviction' in its configuration, or CONFIG SET maxmemory-policy noeviction.");
        return faults.Count == 0 ? null : string.Join(" It also ", faults);

        string Get(string name, string missing) => fields.GetValueOrDefault(name, missing);
    }

    private static Dictionary<string, string> Fields(string info) => info.Split('\n').Select(line => line.TrimEnd('\r').Split(':', 2)).Where(pair => pair.Length == 2)
        .DistinctBy(pair => pair[0], StringComparer.Ordinal).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
}
