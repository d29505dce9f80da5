using System.Text;
using System.Text.Json.Serialization;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Catalog.Manifests;
using Serverless.Hosting.Manifests;

namespace Serverless.Hosting.Redis.Catalog;

/// <summary>The manifests of a folder as they are published: the files as they are, and what the models' own files said where they were at hand.</summary>
internal sealed record CatalogDocument
{
    /// <summary>Raised where an older reader would misread; a field is only added otherwise.</summary>
    public const int CurrentVersion = 1;

    public required int Version { get; init; }

    public required IReadOnlyList<ManifestFile> Files { get; init; }

    /// <summary>Context in tokens of each inspected model file, by path: readers need not have the files.</summary>
    public IReadOnlyDictionary<string, int> ContextTokens { get; init; } = new Dictionary<string, int>();

    /// <summary>How tokens of each inspected model are best chosen, by the path of its file.</summary>
    public IReadOnlyDictionary<string, SamplingDefaults> Sampling { get; init; } = new Dictionary<string, SamplingDefaults>();

    /// <summary>How large each inspected model file is, by its path.</summary>
    public IReadOnlyDictionary<string, long> Bytes { get; init; } = new Dictionary<string, long>();

    /// <summary>Reads the files of a folder: the document of them and what it says, null if something in them is wrong.</summary>
    public static (CatalogDocument? Document, ModelCatalog? Catalog, IReadOnlyList<CatalogFinding> Errors) Read(IEnumerable<(string Path, byte[] Bytes)> folder, EngineTable engines, NotingInspector inspector)
    {
        var (errors, manifests, files) = (new List<CatalogFinding>(), new List<Manifest>(), new List<ManifestFile>());
        foreach (var (path, bytes) in folder)
        {
            manifests.AddRange(YamlManifests.Read(path, bytes, errors));
            files.Add(new ManifestFile { Path = path, Text = Encoding.UTF8.GetString(bytes) });
        }

        var reading = new CatalogReader(engines, inspector, ShippedRecipes.Book).Read(manifests);
        errors.AddRange(reading.Errors);
        if (errors.Count > 0) return (null, null, errors);

        var contexts = inspector.Facts.ToDictionary(noted => noted.Path, noted => noted.Facts.ContextTokens, StringComparer.Ordinal);
        var sampling = inspector.Facts.Where(noted => noted.Facts.Sampling != SamplingDefaults.None).ToDictionary(noted => noted.Path, noted => noted.Facts.Sampling, StringComparer.Ordinal);
        var sizes = inspector.Facts.Where(noted => noted.Facts.Bytes is not null).ToDictionary(noted => noted.Path, noted => noted.Facts.Bytes!.Value, StringComparer.Ordinal);
        return (new CatalogDocument { Version = CurrentVersion, Files = files, ContextTokens = contexts, Sampling = sampling, Bytes = sizes }, reading.Catalog, []);
    }

    /// <summary>The catalogue it holds. Another release checked it: where this one finds a fault, what is sound is there beside it.</summary>
    public CatalogReading ToCatalog(EngineTable engines)
    {
        if (Version > CurrentVersion)
            return new CatalogReading(null, [new CatalogFinding("the published catalogue", 1, null, "version", $"{Version}", $"is of a later release than this one, which reads up to {CurrentVersion}; finish the roll-out")], []);

        var (errors, manifests) = (new List<CatalogFinding>(), new List<Manifest>());
        foreach (var file in Files) manifests.AddRange(YamlManifests.Read(file.Path, Encoding.UTF8.GetBytes(file.Text), errors));
        var reading = new CatalogReader(engines, new NotedInspector(this), ShippedRecipes.Book).Read(manifests);
        return errors.Count == 0 ? reading : reading with { Catalog = null, Errors = [.. errors, .. reading.Errors] };
    }

    internal sealed record ManifestFile
    {
        public required string Path { get; init; }

        public required string Text { get; init; }
    }

    private sealed class NotedInspector(CatalogDocument document) : IModelInspector
    {
        public ModelFacts? Inspect(string path, out string? fault)
        {
            fault = document.ContextTokens.TryGetValue(path, out var tokens) ? null : $"'{path}' is not among the files whose facts were published";
            if (fault is not null) return null;

            return new ModelFacts(tokens) { Sampling = document.Sampling.GetValueOrDefault(path, SamplingDefaults.None), Bytes = document.Bytes.TryGetValue(path, out var bytes) ? bytes : null };
        }
    }
}

/// <summary>JSON of what is published between processes of different releases: unknown fields are skipped, missing ones keep their default.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true,
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(CatalogDocument))]
internal sealed partial class CatalogJson : JsonSerializerContext;
