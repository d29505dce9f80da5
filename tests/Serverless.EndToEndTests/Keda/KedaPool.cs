using System.Text.Json.Nodes;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling;

namespace Serverless.EndToEndTests.Keda;

/// <summary>One model with one pool, its Deployment, and its ScaledObject as we render it, but for clocks that suit a test.</summary>
internal sealed class KedaPool(string model)
{
    public const int CooldownSeconds = 8;

    public ModelName Model { get; } = new(model);

    public string Name => Declared.Pools[0].Name.Value;

    public Model Declared { get; } = new()
    {
        Name = new ModelName(model),
        Family = "llama",
        Source = new ModelSource("simulated", model),
        ContextTokens = 8192,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        Scaling = new ScalingConfig { MaxReplicas = 5, Cooldown = TimeSpan.FromSeconds(CooldownSeconds) },
    };

    /// <summary>The model as its user writes it.</summary>
    public string Manifest => $"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata:
          name: {Model}
        spec:
          familyName: llama
          source:
            uri: simulated://{Model}
          inferenceConfig:
            flavors:
              - name: cpu
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata:
          name: {Model}
        spec:
          replicas: 1
          modelClaim:
            modelName: {Model}
          backendRuntimeConfig:
            backendName: simulated
          elasticConfig:
            minReplicas: 0
            maxReplicas: 5
        """;

    public ModelDemand Demand(int pending = 0, int running = 0) => new()
    {
        Model = Model,
        At = TimeProvider.System.GetUtcNow(),
        PendingRequests = (pending + 999) / 1000, // a request runs on one replica, so several are needed for several
        PendingPromptTokens = pending,
        RunningRequests = running,
    };

    public string Deployment() => new JsonObject
    {
        ["apiVersion"] = "apps/v1",
        ["kind"] = "Deployment",
        ["metadata"] = new JsonObject { ["name"] = Name, ["namespace"] = KedaCluster.Namespace },
        ["spec"] = new JsonObject
        {
            ["replicas"] = 0,
            ["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["pool"] = Name } },
            ["template"] = new JsonObject
            {
                ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["pool"] = Name } },
                ["spec"] = new JsonObject { ["containers"] = new JsonArray(new JsonObject { ["name"] = "worker", ["image"] = "serverless-worker" }) },
            },
        },
    }.ToJsonString();

    public string ScaledObject(string scaler, string? authentication = null) => ScaledObjectManifest.Render(Declared.Pools[0], new ScaledObjectOptions
    {
        ScalerAddress = scaler,
        Namespace = KedaCluster.Namespace,
        Authentication = authentication,
        PollingInterval = TimeSpan.FromSeconds(1),
        DownStabilisation = TimeSpan.FromSeconds(1),
    }).ToJsonString();

    public string Manifests(string scaler, string? authentication = null) => $"{Deployment()}\n---\n{ScaledObject(scaler, authentication)}";
}
