namespace Serverless.EndToEndTests.Distributed;

/// <summary>The apps of <c>dapr.yaml</c> over a simulated engine: model <c>sim</c> with the worker of the file, model <c>other</c> whose worker a test plays.</summary>
public class SimulatedRun : DaprRun
{
    private readonly string _manifests = Directory.CreateTempSubdirectory("serverless-models-").FullName;

    public SimulatedRun()
    {
        foreach (var name in (string[])["sim", "other"])
        {
            File.WriteAllText(Path.Combine(_manifests, $"{name}.yaml"), $$"""
                apiVersion: llmaz.io/v1alpha1
                kind: OpenModel
                metadata: {name: {{name}} }
                spec:
                  familyName: simulated
                  source: {uri: simulated://{{name}} }
                  inferenceConfig: {flavors: [{name: cpu}]}
                ---
                apiVersion: inference.llmaz.io/v1alpha1
                kind: Playground
                metadata: {name: {{name}} }
                spec:
                  modelClaim: {modelName: {{name}} }
                  backendRuntimeConfig: {backendName: simulated}
                """);
        }
    }

    protected override IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string> { ["Distributed__Manifests"] = _manifests, ["Worker__Pool"] = "sim-cpu" };
}
