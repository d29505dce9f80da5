using Serverless.Catalog.Manifests;
using Serverless.Catalog.Recipes;
using Serverless.Tests.Manifests;
using Shouldly;

namespace Serverless.Tests.Recipes;

/// <summary>A model of containers, written in a test.</summary>
internal static class RecipeText
{
    public static Container Render(string engine, string flavor, string runtime = "", bool isDraft = false, string model = "contextTokens: 8192", params string[] more)
    {
        var reading = Read(engine, flavor, runtime, isDraft, model, more);
        reading.Errors.ShouldBeEmpty();
        return reading.Catalog!.Models.ShouldHaveSingleItem().Flavors[0].Container.ShouldNotBeNull(string.Join('\n', reading.Warnings));
    }

    public static CatalogReading Read(string engine, string flavor, string runtime = "", bool isDraft = false, string model = "contextTokens: 8192", params string[] more) => ManifestText.Read(
    [
        $$$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: "qwen2.5:7b"}
        spec:
          familyName: qwen2.5
          source: {modelHub: {modelID: Qwen/Qwen2.5-7B-Instruct{{{(engine == "llamacpp" ? "-GGUF, filename: qwen2.5-7b-q4_k_m.gguf" : "")}}}}}
          {{{model}}}
          inferenceConfig: {flavors: [{{{flavor}}}]}
        """,
        $$"""
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: qwen}
        spec:
          replicas: 2
          modelClaims: {models: [{name: "qwen2.5:7b"}{{(isDraft ? ", {name: small, role: draft}" : "")}}]}
          backendRuntimeConfig: {backendName: {{engine}}{{(runtime.Length > 0 ? $", {runtime}" : "")}}}
        """,
        """
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: small}
        spec: {familyName: qwen2.5, source: {modelHub: {modelID: Qwen/Qwen2.5-0.5B-Instruct}}}
        """,
        .. more,
    ]);
}
