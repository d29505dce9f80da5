using System.Globalization;
using System.Text.RegularExpressions;
using Serverless.Catalog.Accelerators;
using Serverless.Catalog.Engines;

namespace Serverless.Catalog.Manifests;

/// <summary>Reads <c>llmaz.io/v1alpha1 OpenModel</c>.</summary>
internal static partial class OpenModelReader
{
    private const int MaxFlavors = 8;

    /// <summary>Null where it has no name or spec, which is reported.</summary>
    public static DeclaredModel? Read(ManifestFields document, EngineTable engines)
    {
        var (name, created) = ManifestMetadata.Read(document);
        document.Has("status"); // written by clusters, for people
        if (document.Object("spec") is not { } spec)
        {
            if (!document.Has("spec")) document.Error("spec", "is missing; it says what the model is");
            return null;
        }

        var family = spec.RequiredText("familyName", 128);
        var source = ModelSourceReader.Read(spec, engines);
        var model = new DeclaredModel(name ?? "", spec)
        {
            Family = family,
            Source = source,
            OwnedBy = spec.Text("ownedBy", 128),
            CreatedAt = spec.Timestamp("createdAt") ?? created,
            ContextTokens = spec.Integer("contextTokens", 16, 1 << 24),
            Sampling = ReadSampling(spec),
            Flavors = ReadFlavors(spec),
        };
        return name is null ? null : model;
    }

    private static SamplingDefaults ReadSampling(ManifestFields spec) => spec.Object("sampling") is not { } sampling ? SamplingDefaults.None : new SamplingDefaults
    {
        Temperature = sampling.Number("temperature", 0, 2),
        TopP = sampling.Number("topP", 0, 1),
        TopK = sampling.Integer("topK", 0, int.MaxValue),
        MinP = sampling.Number("minP", 0, 1),
        PresencePenalty = sampling.Number("presencePenalty", -2, 2),
        FrequencyPenalty = sampling.Number("frequencyPenalty", -2, 2),
    };

    private static List<DeclaredFlavor> ReadFlavors(ManifestFields spec)
    {
        var flavors = new List<DeclaredFlavor>();
        spec.Renamed("inferenceFlavors", "inferenceConfig.flavors");
        if (spec.Object("inferenceConfig") is not { } config) return flavors;

        foreach (var fields in config.Objects("flavors", MaxFlavors))
        {
            if (ReadFlavor(fields) is not { } flavor) continue;
            if (flavors.Exists(other => other.Flavor.Name == flavor.Name)) fields.Error("name", "is the name of an earlier flavor; names must differ");
            else flavors.Add(new DeclaredFlavor(flavor, fields));
        }

        return flavors;
    }

    private static Flavor? ReadFlavor(ManifestFields fields)
    {
        var name = fields.RequiredText("name", 63);
        var valid = name is not null && NamePattern().IsMatch(name);
        if (name is not null && !valid) fields.Error("name", "must begin and end with a lower-case letter or digit and hold only those and -");

        fields.Renamed("requests", "limits");
        var limits = fields.Map("limits", numbers: true);
        foreach (var (resource, quantity) in limits)
        {
            if (!Quantities.IsOne(quantity)) fields.Error("limits", $"gives {resource} the quantity '{quantity}'; write a number, with a unit if needed (1, 500m, 16Gi)");
        }

        var selector = fields.Map("nodeSelector", numbers: false);
        var parameters = fields.Map("params", numbers: true);
        if (parameters.TryGetValue(Flavor.ClassParam, out var known) && AcceleratorCatalog.Find(known) is null) fields.Warn("params", $"names the class '{known}', which is not known and gets no defaults; known are {string.Join(", ", AcceleratorCatalog.All.Select(one => one.Name))}");
        return valid ? new Flavor { Name = name!, AcceleratorClass = known ?? name!, Limits = limits, NodeSelector = selector, Params = parameters, HourlyPrice = Price(parameters), Role = Role(parameters) } : null;
    }

    [GeneratedRegex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NamePattern();

    /// <summary>Read leniently here, as the price is.</summary>
    private static PoolRole Role(IReadOnlyDictionary<string, string> parameters) => parameters.GetValueOrDefault(ContainerEngines.Role) switch
    {
        "prefill" => PoolRole.Prefill,
        "decode" => PoolRole.Decode,
        _ => PoolRole.Both,
    };

    /// <summary>Read leniently here; a price that is no number is an error where params are checked.</summary>
    private static double? Price(IReadOnlyDictionary<string, string> parameters) =>
        parameters.TryGetValue(Flavor.PriceParam, out var text) && double.TryParse(text, CultureInfo.InvariantCulture, out var price) ? price : null;
}
