using System.Text.Json.Nodes;
using Serverless.Catalog;

namespace Serverless.Scaling;

/// <summary>The ScaledObject of a pool, as KEDA 2.16 and later take it. Pure.</summary>
public static class ScaledObjectManifest
{
    /// <summary>Renders it, as the JSON form of the manifest.</summary>
    public static JsonObject Render(Pool pool, ScaledObjectOptions options)
    {
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentNullException.ThrowIfNull(options);
        var bounds = pool.Model.Scaling;

        // A floor over several pools is the planner's to place: the preferred one may be out of stock.
        var floor = pool.Model.Pools.Count == 1 ? bounds.MinReplicas : 0;
        var cooldown = Seconds(bounds.Cooldown ?? options.Cooldown);
        return new JsonObject
        {
            ["apiVersion"] = "keda.sh/v1alpha1",
            ["kind"] = "ScaledObject",
            ["metadata"] = new JsonObject { ["name"] = pool.Name.Value, ["namespace"] = options.Namespace },
            ["spec"] = new JsonObject
            {
                ["scaleTargetRef"] = new JsonObject { ["apiVersion"] = options.TargetApiVersion, ["kind"] = options.TargetKind, ["name"] = pool.Name.Value },
                ["pollingInterval"] = Seconds(options.PollingInterval),
                ["cooldownPeriod"] = cooldown,
                ["initialCooldownPeriod"] = cooldown, // else a pool that was adopted with replicas goes to zero at the first inactive poll
                ["minReplicaCount"] = floor,
                ["maxReplicaCount"] = bounds.MaxReplicas,

                // Only failures of GetMetrics and IsActive are counted, and they come only from a scaler without any plan: what there is stays.
                ["fallback"] = new JsonObject { ["failureThreshold"] = 3, ["replicas"] = Math.Max(1, floor), ["behavior"] = "currentReplicas" },
                ["advanced"] = new JsonObject { ["horizontalPodAutoscalerConfig"] = new JsonObject { ["behavior"] = Behavior(options) } },
                ["triggers"] = new JsonArray(Trigger(pool, options)),
            },
        };
    }

    private static JsonObject Trigger(Pool pool, ScaledObjectOptions options)
    {
        var metadata = new JsonObject { ["scalerAddress"] = options.ScalerAddress, ["pool"] = pool.Name.Value };
        var trigger = new JsonObject { ["type"] = "external-push", ["metricType"] = "AverageValue", ["metadata"] = metadata };
        if (options.Authentication is not { } authentication) return trigger;

        metadata["enableTLS"] = "true";
        trigger["authenticationRef"] = new JsonObject { ["name"] = authentication };
        return trigger;
    }

    /// <summary>The answer is the number of replicas: the HPA shall take it as it is, without its ten per cent of tolerance and without steps.</summary>
    private static JsonObject Behavior(ScaledObjectOptions options) => new()
    {
        ["scaleUp"] = new JsonObject { ["tolerance"] = "0", ["stabilizationWindowSeconds"] = 0, ["selectPolicy"] = "Max", ["policies"] = new JsonArray(Policy("Percent", 900), Policy("Pods", 100)) },
        ["scaleDown"] = new JsonObject { ["tolerance"] = "0", ["stabilizationWindowSeconds"] = Seconds(options.DownStabilisation), ["policies"] = new JsonArray(Policy("Percent", 100)) },
    };

    private static JsonObject Policy(string type, int value) => new() { ["type"] = type, ["value"] = value, ["periodSeconds"] = 1 };

    private static int Seconds(TimeSpan time) => (int)Math.Ceiling(time.TotalSeconds);
}
