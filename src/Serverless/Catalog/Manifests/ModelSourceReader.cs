using Serverless.Catalog.Engines;

namespace Serverless.Catalog.Manifests;

/// <summary><c>spec.source</c> of an OpenModel: a hub or a URI, never both.</summary>
internal static class ModelSourceReader
{
    private static readonly string[] Hubs = ["Huggingface", "ModelScope"];
    private static readonly string[] Schemes = [ModelSource.FileScheme, .. ModelUri.Schemes];

    /// <summary>Null where it is missing or wrong and reported.</summary>
    public static ModelSource? Read(ManifestFields spec, EngineTable engines)
    {
        if (spec.Object("source") is not { } source)
        {
            if (!spec.Has("source")) spec.Error("source", "is missing; it says where the model's files are, by uri or modelHub");
            return null;
        }

        var hub = source.Object("modelHub");
        var uri = source.Text("uri");
        var fromHub = hub is null ? null : ReadHub(hub);
        if (hub is not null && source.Has("uri"))
        {
            source.Error("uri", "is given beside modelHub; a model has one source, leave one of the two out");
            return null;
        }

        if (hub is not null) return fromHub;
        if (uri is not null) return ReadUri(source, uri, engines);
        if (!source.Has("uri") && !source.Has("modelHub")) spec.Error("source", "names nothing; give it a uri or a modelHub");
        return null;
    }

    private static ModelSource? ReadHub(ManifestFields hub)
    {
        var name = hub.Text("name") ?? Hubs[0];
        var known = Hubs.Contains(name, StringComparer.Ordinal);
        if (!known) hub.Error("name", $"is no known hub; known are {string.Join(", ", Hubs)}");

        var id = hub.RequiredText("modelID");
        var file = hub.Text("filename");
        var revision = hub.Text("revision");
        var (allow, ignore) = (hub.Texts("allowPatterns", 64), hub.Texts("ignorePatterns", 64));
        var patterns = allow.Count + ignore.Count;
        if (file is not null && name != Hubs[0]) hub.Error("filename", "can be chosen on Huggingface only");
        if (file is not null && patterns > 0) hub.Error("filename", "is given beside patterns; give one of the two");
        if (!known || id is null) return null;

        var scheme = name == Hubs[0] ? ModelSource.HuggingFace : ModelSource.ModelScope;
        return new ModelSource(scheme, id, revision ?? ModelUri.DefaultRevision(scheme), file) { Allow = Lines(allow), Ignore = Lines(ignore) };
    }

    private static ModelSource? ReadUri(ManifestFields source, string uri, EngineTable engines)
    {
        var at = uri.IndexOf("://", StringComparison.Ordinal);
        var scheme = at < 0 ? "" : uri[..at].ToLowerInvariant();
        string[] schemes = [.. Schemes.Concat(engines.Here.Select(engine => engine.Scheme).OfType<string>()).Distinct()];
        if (!schemes.Contains(scheme, StringComparer.Ordinal))
        {
            source.Error("uri", $"has no known scheme; known are {string.Join(", ", schemes.Select(known => known + "://"))}");
            return null;
        }

        var location = uri[(at + 3)..];
        if (location.Length == 0)
        {
            source.Error("uri", $"names nothing after {scheme}://");
            return null;
        }

        if (scheme == ModelSource.FileScheme) return ReadPath(source, location);
        if (!ModelUri.Schemes.Contains(scheme, StringComparer.Ordinal)) return new ModelSource(scheme, location);
        if (ModelUri.Parse(scheme, location, out var fault) is { } read) return read;

        source.Error("uri", fault);
        return null;
    }

    /// <summary>A value that can be compared; null for none.</summary>
    private static string? Lines(IReadOnlyList<string> patterns) => patterns.Count == 0 ? null : string.Join('\n', patterns);

    private static ModelSource? ReadPath(ManifestFields source, string path)
    {
        if (path.Contains('\0'))
        {
            source.Error("uri", "holds a zero character, which no path may");
            return null;
        }

        if (path[0] == '/') return new ModelSource(ModelSource.FileScheme, path);
        if (!path.StartsWith("./", StringComparison.Ordinal) && !path.StartsWith("../", StringComparison.Ordinal))
        {
            source.Error("uri", "is neither absolute (host:///models/x.gguf) nor beside the manifest (host://./x.gguf)");
            return null;
        }

        if (source.Manifest.Folder is { } folder) return new ModelSource(ModelSource.FileScheme, Path.GetFullPath(Path.Combine(folder, path)));

        source.Error("uri", "is beside the manifest, which is no file; give the absolute path (host:///models/x.gguf)");
        return null;
    }
}
