using System.Text.RegularExpressions;
using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>Reads what Playgrounds and BackendRuntimes say alike of a container.</summary>
internal static partial class RuntimeConfigReader
{
    public const int MostArgs = 256;

    private const int MostEnvs = 128, LongestObject = 4096;

    /// <summary>Of <c>backendRuntimeConfig</c>; nothing where there is none.</summary>
    public static RuntimeConfig Read(ManifestFields? config) => config is null ? RuntimeConfig.None : new RuntimeConfig
    {
        Version = Tag(config),
        ConfigName = config.Text("configName", 128),
        Args = config.Texts("args", MostArgs),
        Envs = Envs(config),
        Resources = Resources(config),
        SharedMemorySize = Quantity(config, "sharedMemorySize"),
    };

    /// <summary>Variables of an environment.</summary>
    public static IReadOnlyList<RecipeVariable> Envs(ManifestFields fields)
    {
        var envs = new List<RecipeVariable>();
        foreach (var env in fields.Objects("envs", MostEnvs))
        {
            var (name, value, from) = (env.RequiredText("name", 256), env.Has("value") ? env.AnyText("value") : null, env.Json("valueFrom", LongestObject));
            if (value is not null && from is not null) env.Error("valueFrom", "is given beside value; give one of the two");
            else if (name is not null && !VariableName().IsMatch(name)) env.Error("name", "must hold letters, digits and _ - . alone and begin with none of 0 to 9");
            else if (name is not null) envs.Add(new RecipeVariable(name, from is null ? value ?? "" : null, from));
        }

        return envs;
    }

    /// <summary>Requests and limits.</summary>
    public static ContainerResources Resources(ManifestFields fields)
    {
        if (fields.Object("resources") is not { } resources) return ContainerResources.None;

        return new ContainerResources(Checked(resources, "requests", resources.Map("requests", numbers: true)), Checked(resources, "limits", resources.Map("limits", numbers: true)));
    }

    /// <summary>A quantity of memory.</summary>
    public static string? Quantity(ManifestFields fields, string name)
    {
        if (!fields.Has(name) || fields.AnyText(name) is not { } text) return null;
        if (Quantities.IsOne(text)) return text;

        fields.Error(name, "must be a number, with a unit if needed (1, 512Mi, 16Gi)");
        return null;
    }

    /// <summary>The tag of an image.</summary>
    public static string? Tag(ManifestFields fields)
    {
        if (!fields.Has("version") || fields.AnyText("version") is not { } text) return null;
        if (TagPattern().IsMatch(text)) return text;

        fields.Error("version", "is no tag of an image; it holds letters, digits and . _ -, at most 128");
        return null;
    }

    private static IReadOnlyDictionary<string, string> Checked(ManifestFields fields, string name, IReadOnlyDictionary<string, string> quantities)
    {
        foreach (var (resource, quantity) in quantities)
        {
            if (!Quantities.IsOne(quantity)) fields.Error(name, $"gives {resource} the quantity '{quantity}'; write a number, with a unit if needed (1, 500m, 16Gi)");
        }

        return quantities;
    }

    [GeneratedRegex("^[A-Za-z_.-][A-Za-z0-9_.-]*$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex VariableName();

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex TagPattern();
}
