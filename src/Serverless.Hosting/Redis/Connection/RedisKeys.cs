using Serverless.Catalog;
using Serverless.Requests;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>
/// Every key and channel there is; each begins with <see cref="RedisOptions.KeyPrefix"/>. No hash tags: one script touches several keys, and Redis Cluster is refused at start.
/// <code>
/// head:{id}            hash     head and state of a request's log; expires with its deadline + LogRetention
/// events:{id}          stream   its events as 1-0, 2-0, …; expires likewise
/// epoch:{model}        string   highest dispatcher epoch seen by the log; never expires
/// lease:{name}         hash     holder and epoch; expires with the lease
/// lease-epoch:{name}   string   last epoch given; never expires
/// leases               sorted   names of leases, for listing
/// demand, capacity, decisions   hash   the latest by model or pool; stale ones are removed by readers
/// demand:writers, …    hash     when each process last stood by all it wrote there, and how often it was written at all
/// probe                string   written to see whether Redis takes writes
/// plan:head            hash     epoch and sequence of the plan, and when it was right
/// plan                 hash     the plan by model, with the planner's memory; never expires
/// catalog              string   the published manifests
/// hints:{instance}     channel  records as they are appended, for the followers in one process
/// ends:{model}         channel  ids of requests ended from outside
/// demand, capacity, decisions, plan, catalog     channels of their changes
/// </code>
/// </summary>
internal sealed class RedisKeys(string prefix)
{
    public string Heads { get; } = prefix + "head:";

    public string Streams { get; } = prefix + "events:";

    public string Epochs { get; } = prefix + "epoch:";

    public string EndsChannels { get; } = prefix + "ends:";

    public RedisKey LeaseNames { get; } = prefix + "leases";

    public RedisKey Demand { get; } = prefix + "demand";

    public RedisKey Capacity { get; } = prefix + "capacity";

    public RedisKey Decisions { get; } = prefix + "decisions";

    public RedisKey PlanHead { get; } = prefix + "plan:head";

    public RedisKey Plans { get; } = prefix + "plan";

    public RedisKey Catalog { get; } = prefix + "catalog";

    public RedisKey Probe { get; } = prefix + "probe";

    public RedisKey Head(RequestId id) => Heads + id.Value;

    public RedisKey Events(RequestId id) => Streams + id.Value;

    public RedisKey Lease(string name) => $"{prefix}lease:{name}";

    public RedisKey LeaseEpoch(string name) => $"{prefix}lease-epoch:{name}";

    public string LeasePrefix { get; } = prefix + "lease:";

    public string Hints(string instance) => $"{prefix}hints:{instance}";

    public string Ends(ModelName model) => EndsChannels + model.Value;

    /// <summary>The channel that tells of changes to what stands at <paramref name="key"/>.</summary>
    public static RedisChannel Changes(RedisKey key) => RedisChannel.Literal((string)key!);
}
