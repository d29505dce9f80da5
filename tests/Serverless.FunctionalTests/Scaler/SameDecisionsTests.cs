using Serverless.Scaler.Embedded;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>One demand, two faces: KEDA's calls over the network and the stand-in of the embedded shape take the same decisions.</summary>
public sealed class SameDecisionsTests
{
    private static readonly LocalScalerOptions Options = new() { Cooldown = TimeSpan.FromMinutes(5) };

    /// <summary>Prompt tokens pending and requests running, second by second: a burst, work that runs on, silence, a second burst.</summary>
    private static IEnumerable<(int Pending, int Running)> Timeline() =>
    [
        .. Enumerable.Repeat((0, 0), 3),
        .. Enumerable.Repeat((12_000, 0), 2),
        .. Enumerable.Repeat((40_000, 16), 4),
        .. Enumerable.Repeat((0, 33), 75),
        .. Enumerable.Repeat((0, 1), 75),
        .. Enumerable.Repeat((0, 0), 15),
        .. Enumerable.Repeat((20, 0), 2),
        .. Enumerable.Repeat((0, 0), 12),
    ];

    /// <param name="latched">The latch, which looks at demand by a loop of its own, has seen the first work before it is planned: whoever sees it first, each pool is pushed once.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Keda_and_the_embedded_stand_in_decide_alike(bool latched)
    {
        await using var host = await ScalerHost.StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var target = new RecordingTarget();
        using var local = new ScaledPool(host.Model.Pools[0], host.Service, target, Options, host.Time);
        var keda = new KedaOperator(host.Client, ScalerHost.Reference(("scalerAddress", "127.0.0.1:1")), host.Model.Scaling.MaxReplicas, host.Model.Scaling.Cooldown!.Value, host.Time);
        Task[] listening = [keda.ListenAsync(stop.Token), local.ListenAsync(stop.Token)];

        List<(int Keda, int Local)> replicas = [];
        foreach (var (pending, running) in Timeline())
        {
            var cold = local.Replicas == 0;
            host.Time.Advance(TimeSpan.FromSeconds(1));
            host.Publish(new PoolCapacity { Pool = ScalerHost.Pool, Desired = local.Replicas, Ready = local.Replicas });
            host.Publish(pending, running);

            if (latched) host.LookAround();
            if ((await host.PlanAsync()).Active && cold) replicas.Add((await PushedAsync(keda.Pushes, stop.Token), await PushedAsync(target.Asked, stop.Token)));

            await keda.SyncAsync(stop.Token);
            await local.SyncAsync(stop.Token);
            while (target.Asked.TryRead(out _)) { }
            replicas.Add((keda.Replicas, local.Replicas));
        }

        await stop.CancelAsync();
        await Task.WhenAll(listening.Select(task => task.ContinueWith(_ => { }, TaskScheduler.Default)));

        replicas.ShouldAllBe(step => step.Keda == step.Local);
        Steps(replicas.Select(step => step.Keda)).ShouldBe([0, 1, 3, 5, 3, 1, 0, 1, 0], "cold, pushed, by the metric, the most allowed, the slots of what runs, the one that still runs a window later (no replica reported its speed, so none is kept warm), none, pushed, none");
    }

    [Fact]
    public async Task A_target_that_refuses_is_asked_again_at_the_next_sync()
    {
        await using var host = await ScalerHost.StartAsync();
        var target = new RecordingTarget { Refuses = true };
        using var local = new ScaledPool(host.Model.Pools[0], host.Service, target, Options, host.Time);
        host.Publish(20);
        await host.PlanAsync();

        await Should.ThrowAsync<InvalidOperationException>(() => local.SyncAsync(TestContext.Current.CancellationToken));
        local.Replicas.ShouldBe(0);

        target.Refuses = false;
        await local.SyncAsync(TestContext.Current.CancellationToken);
        local.Replicas.ShouldBe(1);
    }

    /// <summary>The target's own replicas may have ended by themselves: it is told what there shall be at every sync, and nothing of a pool at rest.</summary>
    [Fact]
    public async Task The_target_is_told_at_every_sync_what_there_shall_be()
    {
        await using var host = await ScalerHost.StartAsync();
        var target = new RecordingTarget();
        using var local = new ScaledPool(host.Model.Pools[0], host.Service, target, Options, host.Time);
        host.Publish(0);
        await host.PlanAsync();
        await local.SyncAsync(TestContext.Current.CancellationToken);
        target.Calls.ShouldBe(0);

        host.Publish(20);
        await host.PlanAsync();
        for (var sync = 0; sync < 3; sync++) await local.SyncAsync(TestContext.Current.CancellationToken);

        (local.Replicas, target.Calls).ShouldBe((1, 3));
    }

    private static Task<int> PushedAsync(System.Threading.Channels.ChannelReader<int> pushes, CancellationToken cancellationToken) =>
        pushes.ReadAsync(cancellationToken).AsTask().WaitAsync(TestTimeouts.Default, TimeProvider.System, cancellationToken);

    private static List<int> Steps(IEnumerable<int> replicas)
    {
        List<int> steps = [];
        foreach (var count in replicas)
        {
            if (steps.Count == 0 || steps[^1] != count) steps.Add(count);
        }

        return steps;
    }
}
