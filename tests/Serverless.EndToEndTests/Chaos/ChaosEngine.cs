using System.Globalization;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>The simulated engine of a run: how fast and how long it speaks. What it says is always the same, so any answer can be held against it.</summary>
internal sealed record ChaosEngine(int TokensPerSecond, int OutputTokens, int Slots = 64)
{
    private static readonly string[] First = [" one", " two", " three", " four", " five", " six", " seven", " eight"];

    /// <summary>The undisturbed answer of so many tokens; no two of them are alike, so that none can be missing or repeated unseen.</summary>
    public static string Text(int tokens) => string.Concat(Enumerable.Range(0, tokens).Select(position => position < First.Length ? First[position] : string.Create(CultureInfo.InvariantCulture, $" {position + 1}")));

    public string Manifest(string model) => string.Create(CultureInfo.InvariantCulture, $$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: {{model}} }
        spec:
          familyName: simulated
          source: {uri: simulated://{{model}} }
          inferenceConfig:
            flavors:
              - name: cpu
                params: {slots: "{{Slots}}", decodeTokensPerSecond: "{{TokensPerSecond}}", outputTokens: "{{OutputTokens}}"}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: {{model}} }
        spec:
          modelClaim: {modelName: {{model}} }
          backendRuntimeConfig: {backendName: simulated}
        """);
}
