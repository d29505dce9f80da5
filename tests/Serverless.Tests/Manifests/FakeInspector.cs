using Serverless.Catalog.Manifests;

namespace Serverless.Tests.Manifests;

/// <summary>Finds a model of 8,192 tokens in every file but those named missing.</summary>
internal sealed class FakeInspector : IModelInspector
{
    public ModelFacts? Inspect(string path, out string? fault)
    {
        fault = path.Contains("missing", StringComparison.Ordinal) ? $"'{path}' cannot be opened" : null;
        return fault is null ? new ModelFacts(8192) : null;
    }
}
