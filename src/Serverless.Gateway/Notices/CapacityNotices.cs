using System.Globalization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Gateway.Pools;
using Serverless.Loops;

namespace Serverless.Gateway.Notices;

/// <summary>
/// What becomes of pools as events: type <c>dev.serverless.pool.{zero|starting|ready|at_limit|no_room|draining|failed}</c>, subject the pool, data the pool as operators see it. Told by the gateway that dispatches the
/// model; one that takes a model over tells how it finds its pools, so whoever reads knows the last state of each. States that pass within a second, or while the topic takes nothing, are not told; the last one is, when it takes something again.
/// </summary>
/// <param name="pools">How they are written.</param>
/// <param name="sight">Where they are.</param>
/// <param name="isHere">Whether a model is dispatched by this gateway.</param>
/// <param name="notices">Tells.</param>
/// <param name="options">Where.</param>
/// <param name="supervisor">Keeps it going.</param>
/// <param name="time">The clock.</param>
internal sealed class CapacityNotices(
    PoolsBody pools, PoolSight sight, Func<ModelName, bool> isHere, EventNotices notices, IOptions<NoticeOptions> options, Supervisor supervisor, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>What a gateway that takes a model over does not tell: its replicas come back to it meanwhile.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromSeconds(5);

    private readonly Dictionary<PoolName, (DateTimeOffset Since, string? Told)> _seen = [];

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => options.Value.CapacityTopic is { Length: > 0 } topic
        ? supervisor.RunAsync("capacity-notices", stop => WatchAsync(topic, stop), stoppingToken)
        : Task.CompletedTask;

    private async Task WatchAsync(string topic, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        do
        {
            var now = time.GetUtcNow();
            var here = sight.Pools.Where(pool => isHere(pool.Model.Name)).ToArray();
            foreach (var gone in _seen.Keys.Except(here.Select(pool => pool.Name)).ToArray()) _seen.Remove(gone);
            foreach (var pool in here)
            {
                var (since, told) = _seen.TryGetValue(pool.Name, out var known) ? known : _seen[pool.Name] = (now, null);
                if (now - since < Settling) continue;

                var state = sight.StateOf(pool, told);
                if (state == told) continue;

                var id = string.Create(CultureInfo.InvariantCulture, $"{pool.Name}.{now.ToUnixTimeMilliseconds()}");
                if (await notices.TellAsync(topic, EventNotices.Event(id, "pool." + state, pool.Name.Value, now, pools.EncodeNotice(pool, told)), stoppingToken)) _seen[pool.Name] = (since, state);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
