using Serverless.Catalog.Accelerators;
using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>Reads <c>inference.llmaz.io/v1alpha1 BackendRuntime</c>: a recipe for containers, whose name Playgrounds may use.</summary>
internal static class BackendRuntimeReader
{
    private const int LongestHook = 16_384;

    private static readonly string[] OfContainers = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

    /// <summary>Null where it has no name or spec, which is reported.</summary>
    public static (Recipe Recipe, ManifestFields Spec)? Read(ManifestFields document)
    {
        var (name, _) = ManifestMetadata.Read(document);
        document.Has("status");
        if (document.Object("spec") is not { } spec)
        {
            if (!document.Has("spec")) document.Error("spec", "is missing; it says how the engine runs");
            return null;
        }

        var hooks = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in OfContainers)
        {
            if (spec.Json(field, LongestHook) is { } hook) hooks[field] = hook;
        }

        var families = spec.Texts("families", ImageFamily.All.Count);
        foreach (var unknown in families.Except(ImageFamily.All)) spec.Error("families", $"names '{unknown}'; known are {string.Join(", ", ImageFamily.All)}");
        var recipe = new Recipe(name ?? "", spec.ToJson())
        {
            Image = spec.Text("image", 512),
            Version = RuntimeConfigReader.Tag(spec),
            Families = families,
            Command = spec.Texts("command", RuntimeConfigReader.MostArgs),
            Envs = RuntimeConfigReader.Envs(spec),
            Hooks = hooks,
            Configs = Configs(spec),
        };
        return name is null ? null : (recipe, spec);
    }

    /// <summary>One name may come several times where each says for which versions it is.</summary>
    private static List<RecipeConfig> Configs(ManifestFields spec)
    {
        var configs = new List<RecipeConfig>();
        foreach (var config in spec.Objects("recommendedConfigs", 64))
        {
            var own = config.RequiredText("name", 128);
            var versions = config.Text("versions", 128) is { } text ? VersionRange.Parse(text) : null;
            if (config.Has("versions") && versions is null) config.Error("versions", "is no range of versions; write \">=0.8.3\", \"<0.11\" or \">=0.8.3 <0.11\"");
            if (own is not null && configs.Any(other => other.Name == own && (versions is null || other.Versions is null))) config.Error("name", "is the name of an earlier config; names must differ, unless each says its versions");
            config.Has("scaleTrigger");
            configs.Add(new RecipeConfig(own ?? "", config.Path["spec.".Length..])
            {
                Versions = versions,
                Extends = config.Text("extends", 128),
                Args = config.Texts("args", RuntimeConfigReader.MostArgs),
                WorkerArgs = config.Texts("workerArgs", RuntimeConfigReader.MostArgs),
                Envs = RuntimeConfigReader.Envs(config),
                Resources = RuntimeConfigReader.Resources(config),
                SharedMemorySize = RuntimeConfigReader.Quantity(config, "sharedMemorySize"),
            });
        }

        return configs;
    }
}
