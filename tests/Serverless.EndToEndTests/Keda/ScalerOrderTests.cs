using System.Globalization;
using Shouldly;

namespace Serverless.EndToEndTests.Keda;

/// <summary>What comes first and what goes: ScaledObjects before their scaler, two of them on one, and no scaler at all.</summary>
public sealed class ScalerOrderTests(KedaCluster cluster)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_scaled_objects_on_one_scaler_follow_their_own_pools()
    {
        await cluster.UpAsync();
        var (one, two) = (new KedaPool("one"), new KedaPool("two"));
        await using var pair = await ScalerPair.ServedAsync(one, two);
        pair.Work(one);
        pair.Work(two);
        await cluster.ApplyAsync($"{one.Manifests(pair.Balancer.Address)}\n---\n{two.Manifests(pair.Balancer.Address)}");
        await using var ones = await cluster.WatchAsync($"deployment/{one.Name}", ".spec.replicas");
        await using var twos = await cluster.WatchAsync($"deployment/{two.Name}", ".spec.replicas");
        await cluster.KubectlAsync("wait", $"scaledobject/{one.Name}", $"scaledobject/{two.Name}", "--for=condition=Ready", "--timeout=50s");

        pair.Work(one, running: 33);
        await ones.UntilAsync(value => value == "3", Token);
        pair.Work(two, pending: 20);
        await twos.UntilAsync(value => value == "1", Token);
        pair.Work(one);
        await ones.UntilAsync(value => value == "0", Token);

        twos.Seen.Select(seen => seen.Value).ShouldBe(["0", "1"]);
    }

    [Fact]
    public async Task A_scaled_object_from_before_the_scaler_works_once_there_is_one()
    {
        await cluster.UpAsync();
        var pool = new KedaPool("early");
        var world = new ScalerWorld(pool);
        await using var balancer = new Balancer();
        await cluster.ApplyAsync(pool.Manifests(balancer.Address));
        await cluster.KubectlAsync("wait", $"scaledobject/{pool.Name}", "--for=condition=Ready=false", "--timeout=50s");
        await using var replicas = await cluster.WatchAsync($"deployment/{pool.Name}", ".spec.replicas");
        await replicas.UntilAsync(value => value == "0", Token);

        var began = TimeProvider.System.GetTimestamp();
        await using var scaler = await ServedScaler.StartAsync(world);
        world.Demand.Publish(pool.Demand(pending: 20));
        balancer.Add(scaler);

        await replicas.UntilAsync(value => value == "1", Token, TimeSpan.FromSeconds(90));
        Report("up after the scaler came", began);
    }

    [Fact]
    public async Task With_both_scalers_gone_replicas_are_printed_and_pools_recover()
    {
        await cluster.UpAsync();
        var (busy, cold) = (new KedaPool("orphan-busy"), new KedaPool("orphan-cold"));
        var world = new ScalerWorld(busy, cold);
        await using var balancer = new Balancer();
        var first = await ServedScaler.StartAsync(world);
        world.Demand.Publish(busy.Demand(running: 33));
        world.Demand.Publish(cold.Demand());
        balancer.Add(first);
        await cluster.ApplyAsync($"{busy.Manifests(balancer.Address)}\n---\n{cold.Manifests(balancer.Address)}");
        await using var busyReplicas = await cluster.WatchAsync($"deployment/{busy.Name}", ".spec.replicas");
        await using var coldReplicas = await cluster.WatchAsync($"deployment/{cold.Name}", ".spec.replicas");
        await busyReplicas.UntilAsync(value => value == "3", Token);
        await coldReplicas.UntilAsync(value => value == "0", Token);

        await first.DisposeAsync();
        var gone = TimeProvider.System.GetTimestamp();
        world.Demand.Publish(cold.Demand(pending: 20));
        await busyReplicas.ForAsync(TimeSpan.FromSeconds(KedaPool.CooldownSeconds + 7), Token);
        Report($"no scaler: a busy pool had {string.Join(" → ", busyReplicas.Seen.Select(seen => seen.Value))}, a cold one {string.Join(" → ", coldReplicas.Seen.Select(seen => seen.Value))}", gone);

        var back = TimeProvider.System.GetTimestamp();
        await using var second = await ServedScaler.StartAsync(world);
        balancer.Add(second);
        await coldReplicas.UntilAsync(value => value == "1", Token, TimeSpan.FromSeconds(90));
        Report("the cold pool came up after a scaler was back", back);
        if (busyReplicas.Seen[^1].Value != "3") await busyReplicas.UntilAsync(value => value == "3", Token, TimeSpan.FromSeconds(90));
        Report("the busy pool had its replicas after a scaler was back", back);
    }

    private static void Report(string what, long since) =>
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {TimeProvider.System.GetElapsedTime(since).TotalSeconds:F2} s"));
}
