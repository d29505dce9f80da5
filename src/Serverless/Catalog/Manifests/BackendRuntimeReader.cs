namespace Serverless.Catalog.Manifests;

/// <summary>Reads <c>inference.llmaz.io/v1alpha1 BackendRuntime</c>: a recipe for containers, whose name Playgrounds may use.</summary>
internal static class BackendRuntimeReader
{
    private static readonly string[] OfContainers = ["command", "image", "version", "envs", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

    /// <summary>Its name; null where it has none, which is reported.</summary>
    public static string? Read(ManifestFields document)
    {
        var (name, _) = ManifestMetadata.Read(document);
        document.Has("status");
        if (document.Object("spec") is not { } spec)
        {
            if (!document.Has("spec")) document.Error("spec", "is missing; it says how the engine runs");
            return name;
        }

        foreach (var field in OfContainers) spec.Has(field);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var config in spec.Objects("recommendedConfigs", 64))
        {
            if (config.RequiredText("name") is { } own && !names.Add(own)) config.Error("name", "is the name of an earlier config; names must differ");
            config.Texts("args", 256);
            config.Has("resources");
            config.Has("sharedMemorySize");
            config.Has("scaleTrigger");
        }

        document.Warn("spec", "runs containers, which this process does not start");
        return name;
    }
}
