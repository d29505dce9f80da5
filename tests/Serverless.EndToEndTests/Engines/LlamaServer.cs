namespace Serverless.EndToEndTests.Engines;

/// <summary>The real <c>llama-server</c>, and manifests of the shipped model on it.</summary>
internal static class LlamaServer
{
    /// <summary>Why its tests are skipped; null where it is to be had.</summary>
    public static string? Absence { get; } = Rig.AbsenceOf("llama-server", "llama-server");

    public static string Model { get; } = Path.Combine(Parts.Checkout.Root, "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");

    public static Task<string> PathAsync() => Rig.PathAsync("llama-server", "llama-server");

    /// <summary>A pool of it, with these params of its flavor.</summary>
    public static string Manifests(string parameters) => $$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: smol}
        spec:
          familyName: smollm2
          contextTokens: 2048
          source: {uri: "host://{{Model}}"}
          inferenceConfig: {flavors: [{name: cpu, params: { {{parameters}} } } ] }
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: smol}
        spec:
          modelClaim: {modelName: smol}
          elasticConfig: {minReplicas: 1, maxReplicas: 1}
          backendRuntimeConfig: {backendName: llamacpp}
        """;
}
