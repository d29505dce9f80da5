using System.Globalization;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The whole life of a pool under the real KEDA and the real HPA.</summary>
public sealed class ScaleFromZeroTests(KedaCluster cluster)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_pool_goes_from_zero_to_many_stays_while_work_runs_and_returns_to_zero()
    {
        await cluster.UpAsync();
        var pool = new KedaPool("m");
        var world = new ScalerWorld(pool);
        await using var scaler = await ServedScaler.StartAsync(world);
        await cluster.ApplyAsync(pool.Manifests(scaler.Address));
        await cluster.KubectlAsync("wait", "scaledobject/m-cpu", "--for=condition=Ready", "--timeout=50s");
        await using var replicas = await cluster.WatchAsync("deployment/m-cpu", ".spec.replicas");
        await using var active = await cluster.WatchAsync("scaledobject/m-cpu", ".status.lastActiveTime");
        await replicas.UntilAsync(value => value == "0", Token);

        var began = Now();
        world.Demand.Publish(pool.Demand(pending: 12_000));
        await replicas.UntilAsync(value => value == "1", Token);
        Report("0 → 1 by the push", began);

        await replicas.UntilAsync(value => value == "3", Token);
        Report("→ 3 by the metric", began);
        replicas.Seen.Select(seen => seen.Value).ShouldBe(["0", "1", "3"]);

        world.Capacity.Publish(new PoolCapacity { Pool = new(pool.Name), Desired = 3, Ready = 3 });
        world.Demand.Publish(pool.Demand(running: 33));
        var working = TimeProvider.System.GetUtcNow();
        await active.UntilAsync(value => value.Length > 0 && Time(value) >= working.AddSeconds(KedaPool.CooldownSeconds * 2), Token);
        Report("work ran on for two cooldowns", began);

        world.Demand.Publish(pool.Demand(running: 1));
        await replicas.UntilAsync(value => value != "3", Token);
        replicas.Seen[^1].Value.ShouldBe("1", "the work of one replica is left, and it was three until now");
        Report("3 → 1 by the metric", began);

        world.Capacity.Publish(new PoolCapacity { Pool = new(pool.Name), Desired = 1, Ready = 1 });
        var idle = Now();
        world.Demand.Publish(pool.Demand());
        await replicas.UntilAsync(value => value != "1", Token);
        replicas.Seen[^1].Value.ShouldBe("0");
        Report("1 → 0 after the last work", idle);
    }

    private static long Now() => TimeProvider.System.GetTimestamp();

    private static DateTimeOffset Time(string value) => DateTimeOffset.Parse(value, CultureInfo.InvariantCulture);

    private static void Report(string what, long since) =>
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {TimeProvider.System.GetElapsedTime(since).TotalSeconds:F2} s"));
}
