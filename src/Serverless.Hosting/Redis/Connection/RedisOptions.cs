using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Requests;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>Where Redis is and how long we wait for it.</summary>
public sealed partial class RedisOptions
{
    public const string Section = "Redis";

    /// <summary>
    /// Address and credentials in StackExchange.Redis' words: <c>redis:6379,password=…,ssl=true</c>, or <c>sentinel:26379,serviceName=mymaster</c>.
    /// One primary with replicas; Redis Cluster is not supported. Default: <c>localhost:6379</c>.
    /// </summary>
    [Required]
    public string Configuration { get; set; } = "localhost:6379";

    /// <summary>Begins every key and channel, so that platforms may share a Redis; all processes of one platform must have the same. Default: <c>serverless:</c>.</summary>
    public string KeyPrefix { get; set; } = "serverless:";

    /// <summary>After so long without an answer a call fails as unavailable. Raising it makes outages slower to notice, lowering it makes slow disks look like outages. Default: 2 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the process waits at start for Redis, and for the first catalogue, before it gives up. Default: 60 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a request's log is kept beyond its deadline. It must outlast every clock difference between hosts, or a late message would run an ended request again.
    /// Raising it costs about 1 KB of Redis' memory per request. Default: 5 minutes.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:10", "1.00:00:00")]
    public TimeSpan LogRetention { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Bytes of output that the log keeps of one request; one that gives more ends with an error that says so. Raising it lets one request take more of Redis' memory, until its
    /// deadline and <see cref="LogRetention"/> are over. Default: 32 MiB.
    /// </summary>
    [Range(64 * 1024L, 1024 * 1024 * 1024L)]
    public long MaxOutputBytes { get; set; } = LogLimits.MaxOutputBytes;

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<RedisOptions>;
}
