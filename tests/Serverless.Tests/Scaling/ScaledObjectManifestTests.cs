using Serverless.Catalog;
using Serverless.Scaling;
using Shouldly;

namespace Serverless.Tests.Scaling;

/// <summary>What the defaults of a rendered ScaledObject say; that KEDA does with them what is meant is shown on the real one.</summary>
public sealed class ScaledObjectManifestTests
{
    private static readonly ScaledObjectOptions Options = new() { ScalerAddress = "scaler.serverless:9090", Namespace = "serverless" };

    [Fact]
    public void The_defaults_take_the_answer_as_it_is_and_hold_where_there_is_none()
    {
        var spec = ScaledObjectManifest.Render(Pool(new ScalingConfig { MinReplicas = 1, MaxReplicas = 9, Cooldown = TimeSpan.FromSeconds(90) }), Options)["spec"]!;

        var behavior = spec["advanced"]!["horizontalPodAutoscalerConfig"]!["behavior"]!;
        var trigger = spec["triggers"]![0]!;
        spec.ShouldSatisfyAllConditions(
            () => spec["scaleTargetRef"]!["name"]!.GetValue<string>().ShouldBe("m-cpu"),
            () => spec["pollingInterval"]!.GetValue<int>().ShouldBe(15),
            () => spec["cooldownPeriod"]!.GetValue<int>().ShouldBe(90),
            () => spec["initialCooldownPeriod"]!.GetValue<int>().ShouldBe(90),
            () => spec["minReplicaCount"]!.GetValue<int>().ShouldBe(1),
            () => spec["maxReplicaCount"]!.GetValue<int>().ShouldBe(9),
            () => spec["fallback"]!["behavior"]!.GetValue<string>().ShouldBe("currentReplicas"),
            () => behavior["scaleUp"]!["tolerance"]!.GetValue<string>().ShouldBe("0"),
            () => behavior["scaleDown"]!["tolerance"]!.GetValue<string>().ShouldBe("0"),
            () => trigger["type"]!.GetValue<string>().ShouldBe("external-push"),
            () => trigger["metricType"]!.GetValue<string>().ShouldBe("AverageValue"),
            () => trigger["metadata"]!["pool"]!.GetValue<string>().ShouldBe("m-cpu"),
            () => trigger["metadata"]!["scalerAddress"]!.GetValue<string>().ShouldBe("scaler.serverless:9090"),
            () => trigger["authenticationRef"].ShouldBeNull());
    }

    [Fact]
    public void A_floor_over_several_pools_is_left_to_the_planner()
    {
        var model = Pool(new ScalingConfig { MinReplicas = 2, MaxReplicas = 9 }, "a", "b").Model;

        model.Pools.ShouldAllBe(pool => ScaledObjectManifest.Render(pool, Options)["spec"]!["minReplicaCount"]!.GetValue<int>() == 0);
    }

    [Fact]
    public void Authentication_turns_TLS_on()
    {
        var trigger = ScaledObjectManifest.Render(Pool(new ScalingConfig()), Options with { Authentication = "keda-tls" })["spec"]!["triggers"]![0]!;

        trigger["metadata"]!["enableTLS"]!.GetValue<string>().ShouldBe("true");
        trigger["authenticationRef"]!["name"]!.GetValue<string>().ShouldBe("keda-tls");
    }

    private static Pool Pool(ScalingConfig scaling, params string[] flavors) => new Model
    {
        Name = new ModelName("m"),
        Family = "test",
        Source = new ModelSource("simulated", "m"),
        ContextTokens = 1000,
        Backend = "simulated",
        Flavors = [.. flavors.DefaultIfEmpty("cpu").Select(flavor => new Flavor { Name = flavor, AcceleratorClass = flavor })],
        Scaling = scaling,
    }.Pools[0];
}
