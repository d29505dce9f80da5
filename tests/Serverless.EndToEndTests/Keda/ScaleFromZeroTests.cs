using System.Globalization;
using Serverless.Scaling;
using Shouldly;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The whole life of a pool under the real KEDA and the real HPA.</summary>
public sealed class ScaleFromZeroTests(KedaCluster cluster) : IClassFixture<KedaCluster>
{
    private const int CooldownSeconds = 5;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_pool_goes_from_zero_to_many_stays_while_work_runs_and_returns_to_zero()
    {
        Assert.SkipWhen(Rig.Script is null, Rig.Absent);
        await using var scaler = await ServedScaler.StartAsync();
        await cluster.ApplyAsync(Manifests(scaler.Address));
        await cluster.KubectlAsync("wait", "scaledobject/m-cpu", "--for=condition=Ready", "--timeout=50s");
        await using var replicas = cluster.Watch("deployment/m-cpu", ".spec.replicas");
        await using var active = cluster.Watch("scaledobject/m-cpu", ".status.lastActiveTime");
        await replicas.UntilAsync(value => value == "0", Token);

        var began = Now();
        scaler.Declare(pendingPromptTokens: 12_000);
        await replicas.UntilAsync(value => value == "1", Token);
        Report("0 → 1 by the push", began);

        await replicas.UntilAsync(value => value == "3", Token);
        Report("→ 3 by the metric", began);
        replicas.Seen.Select(seen => seen.Value).ShouldBe(["0", "1", "3"]);

        scaler.Declare(new PoolCapacity { Pool = new(ServedScaler.Pool), Desired = 3, Ready = 3 });
        scaler.Declare(running: 33);
        var working = TimeProvider.System.GetUtcNow();
        await active.UntilAsync(value => value.Length > 0 && Time(value) >= working.AddSeconds(CooldownSeconds * 2), Token);
        Report("work ran on for two cooldowns", began);

        scaler.Declare(running: 1);
        await replicas.UntilAsync(value => value != "3", Token);
        replicas.Seen[^1].Value.ShouldBe("1", "the work of one replica is left, and it was three until now");
        Report("3 → 1 by the metric", began);

        scaler.Declare(new PoolCapacity { Pool = new(ServedScaler.Pool), Desired = 1, Ready = 1 });
        var idle = Now();
        scaler.Declare();
        await replicas.UntilAsync(value => value != "1", Token);
        replicas.Seen[^1].Value.ShouldBe("0");
        Report("1 → 0 after the last work", idle);
    }

    private static long Now() => TimeProvider.System.GetTimestamp();

    private static DateTimeOffset Time(string value) => DateTimeOffset.Parse(value, CultureInfo.InvariantCulture);

    private static void Report(string what, long since) =>
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {TimeProvider.System.GetElapsedTime(since).TotalSeconds:F2} s"));

    private static string Manifests(string scaler) => $$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: m-cpu, namespace: {{KedaCluster.Namespace}} }
        spec:
          replicas: 0
          selector: {matchLabels: {pool: m-cpu} }
          template:
            metadata: {labels: {pool: m-cpu} }
            spec: {containers: [{name: worker, image: serverless-worker}]}
        ---
        apiVersion: keda.sh/v1alpha1
        kind: ScaledObject
        metadata: {name: m-cpu, namespace: {{KedaCluster.Namespace}} }
        spec:
          scaleTargetRef: {name: m-cpu}
          pollingInterval: 1
          cooldownPeriod: {{CooldownSeconds}}
          minReplicaCount: 0
          maxReplicaCount: 5
          advanced:
            horizontalPodAutoscalerConfig:
              behavior:
                scaleUp: {tolerance: "0", stabilizationWindowSeconds: 0}
                scaleDown: {tolerance: "0", stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 1}]}
          triggers:
          - type: external-push
            metadata: {scalerAddress: "{{scaler}}"}
        """;
}
