namespace Serverless.Catalog.Manifests;

/// <summary>The kinds that are read, as the seed writes them.</summary>
internal static class ManifestKinds
{
    public const string OpenModel = "OpenModel";
    public const string Playground = "Playground";
    public const string Service = "Service";
    public const string BackendRuntime = "BackendRuntime";

    private const string ModelGroup = "llmaz.io";
    private const string InferenceGroup = "inference.llmaz.io";
    private const string Version = "v1alpha1";

    private static readonly Dictionary<string, string> Groups = new(StringComparer.Ordinal)
    {
        [OpenModel] = ModelGroup,
        [Playground] = InferenceGroup,
        [Service] = InferenceGroup,
        [BackendRuntime] = InferenceGroup,
    };

    /// <summary>The manifest's kind; null where it is reported, as an error if it is one of ours gone wrong, else as skipped.</summary>
    public static string? Of(ManifestFields document)
    {
        var version = document.RequiredText("apiVersion");
        var kind = document.RequiredText("kind");
        if (version is null || kind is null) return null;

        var group = version.Split('/')[0];
        if (group is not (ModelGroup or InferenceGroup))
        {
            document.Warn("kind", $"of '{version}' is not read here and was skipped");
        }
        else if (!Groups.TryGetValue(kind, out var expected))
        {
            document.Error("kind", $"is unknown; known are {string.Join(", ", Groups.Keys)}");
        }
        else if (version != $"{expected}/{Version}")
        {
            document.Error("apiVersion", $"is not the version of {kind}; write {expected}/{Version}");
        }
        else
        {
            return kind;
        }

        return null;
    }
}
