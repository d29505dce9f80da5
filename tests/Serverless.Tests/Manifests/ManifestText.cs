using System.Text;
using Serverless.Catalog.Manifests;
using Serverless.Hosting.Manifests;

namespace Serverless.Tests.Manifests;

/// <summary>Manifests written in a test, read as files are.</summary>
internal static class ManifestText
{
    public const string Seed = """
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata:
          name: qwen
        spec:
          familyName: qwen2.5
          source: # ModelScope or ObjectStores
            modelHub:
              name: Huggingface
              modelID: Qwen/Qwen2.5-7B
          inferenceConfig:
            flavors:
              - name: a10 # first option
                limits:
                  nvidia.com/gpu: 1
                nodeSelector:
                  gpu.nvidia.com/model: a10
              - name: a100-40gb # second option
                limits:
                  nvidia.com/gpu: 1
                nodeSelector:
                  gpu.nvidia.com/model: a100
              - name: "4090" # third option
                limits:
                  nvidia.com/gpu: 1
                nodeSelector:
                  gpu.nvidia.com/model: "4090"
        """;

    public const string SeedElastic = """
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata:
          name: qwen
        spec:
          replicas: 4
          modelClaim:
            modelName: qwen
          backendRuntimeConfig:
            backendName: sglang
          elasticConfig:
            minReplicas: 1
            maxReplicas: 100
        """;

    public const string SeedFixed = """
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata:
          name: qwen
        spec:
          replicas: 4
          modelClaim:
            modelName: qwen
        """;

    public const string SeedService = """
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Service
        metadata:
          name: qwen
        spec:
          replicas: 4
          modelClaims:
            models:
            - name: qwen
          workloadTemplate: ...
        """;

    /// <summary>An OpenModel of the simulated engine, with lines added to its spec.</summary>
    public static string Simulated(string name = "sim", string spec = "") => $$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: "{{name}}"}
        spec:
          familyName: sim
          source: {uri: "simulated://sim"}
        """ + Indented(spec);

    /// <summary>A Playground of that model, with lines added to its spec.</summary>
    public static string Playground(string model = "sim", string spec = "") => $$"""
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: "{{model}}"}
        spec:
          modelClaim: {modelName: "{{model}}"}
        """ + Indented(spec);

    public static CatalogReading Read(params string[] documents) => Read(new FakeInspector(), documents);

    public static CatalogReading Read(IModelInspector inspector, params string[] documents)
    {
        var errors = new List<CatalogFinding>();
        var manifests = YamlManifests.Read("/manifests/all.yaml", Encoding.UTF8.GetBytes(string.Join("\n---\n", documents)), errors);
        var reading = new CatalogReader(TestEngines.Table, inspector, ShippedRecipes.Book).Read(manifests);
        return reading with { Errors = [.. errors, .. reading.Errors] };
    }

    private static string Indented(string spec) => string.Concat(spec.Split('\n').Where(line => line.Length > 0).Select(line => "\n  " + line));
}
