using Serverless.Catalog.Manifests;

namespace Serverless.EndToEndTests.Redis;

/// <summary>For manifests that name no model file.</summary>
internal sealed class NoModels : IModelInspector
{
    public ModelFacts? Inspect(string path, out string? fault)
    {
        fault = null;
        return null;
    }
}
