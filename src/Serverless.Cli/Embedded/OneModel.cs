using System.Text.Json;
using System.Text.RegularExpressions;
using Serverless.Catalog;

namespace Serverless.Cli.Embedded;

/// <summary>One model that is served without manifests of one's own: they are made of its source, in a folder that goes with the process.</summary>
internal sealed partial class OneModel : IDisposable
{
    private const int LongestName = 100;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-model-");

    public OneModel(ModelSource source)
    {
        Name = NameOf(source);
        var (name, uri) = (JsonSerializer.Serialize(Name), JsonSerializer.Serialize(source.Text)); // JSON is YAML
        File.WriteAllText(Path.Combine(_folder.FullName, "model.yaml"), $$$"""
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: {{{name}}}}
            spec: {familyName: {{{name}}}, source: {uri: {{{uri}}}}}
            ---
            apiVersion: inference.llmaz.io/v1alpha1
            kind: Playground
            metadata: {name: {{{name}}}}
            spec:
              modelClaim: {modelName: {{{name}}}}
              backendRuntimeConfig: {backendName: in-process}
              elasticConfig: {minReplicas: 0, maxReplicas: 1}

            """);
    }

    public string Folder => _folder.FullName;

    /// <summary>As clients ask for it.</summary>
    public string Name { get; }

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>Of its file or repository, in lower case.</summary>
    internal static string NameOf(ModelSource source)
    {
        var place = source.File ?? source.Location;
        var last = place.Split('?', '#')[0].TrimEnd('/').Split('/')[^1];
        var name = NotOfNames().Replace(PartOrEnding().Replace(last, "").ToLowerInvariant(), "-").Trim('-', '.', '_', ':');
        return name.Length == 0 ? "model" : name[..Math.Min(name.Length, LongestName)];
    }

    [GeneratedRegex(@"(-\d{5}-of-\d{5})?\.gguf$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex PartOrEnding();

    [GeneratedRegex(@"[^a-z0-9._:-]+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NotOfNames();
}
