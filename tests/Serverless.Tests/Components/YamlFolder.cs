using YamlDotNet.RepresentationModel;

namespace Serverless.Tests.Components;

/// <summary>Shipped YAML, by what it says rather than how it is written.</summary>
internal static class YamlFolder
{
    /// <summary>Every document of <c>components/</c> by its file's name.</summary>
    public static IReadOnlyList<(string File, YamlMappingNode Root)> Components { get; } =
        [.. Directory.GetFiles(Path.Combine(Repository.Root, "components"), "*.yaml", SearchOption.AllDirectories).Order(StringComparer.Ordinal).SelectMany(file => Read(file).Select(root => (Path.GetRelativePath(Repository.Root, file), root)))];

    public static IEnumerable<YamlMappingNode> Read(string path)
    {
        var stream = new YamlStream();
        using var reader = new StreamReader(path);
        stream.Load(reader);
        return stream.Documents.Select(document => (YamlMappingNode)document.RootNode);
    }

    public static IEnumerable<YamlMappingNode> OfKind(string kind) => Components.Select(file => file.Root).Where(root => Text(root, "kind") == kind);

    public static YamlMappingNode Component(string type) => OfKind("Component").Single(root => Text(root, "spec", "type") == type);

    /// <summary>The node at a path of keys; null where there is none.</summary>
    public static YamlNode? At(YamlNode node, params string[] path)
    {
        foreach (var key in path)
        {
            if (node is not YamlMappingNode mapping || !mapping.Children.TryGetValue(new YamlScalarNode(key), out var next)) return null;
            node = next;
        }

        return node;
    }

    public static string? Text(YamlNode node, params string[] path) => (At(node, path) as YamlScalarNode)?.Value;

    public static IReadOnlyList<string> List(YamlNode node, params string[] path) =>
        At(node, path) is YamlSequenceNode list ? [.. list.Children.Select(child => ((YamlScalarNode)child).Value!)] : [];

    /// <summary>A component's settings: those with a value, and the names of all.</summary>
    public static IReadOnlyDictionary<string, string?> Settings(YamlMappingNode component) => ((YamlSequenceNode)At(component, "spec", "metadata")!).Children
        .ToDictionary(entry => Text(entry, "name")!, entry => Text(entry, "value"), StringComparer.Ordinal);
}
