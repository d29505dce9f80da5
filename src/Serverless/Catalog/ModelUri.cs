namespace Serverless.Catalog;

/// <summary>A model's source in one line: <c>hf://org/name[@revision][/file]</c>, <c>modelscope://…</c> alike, <c>https://…</c>, <c>s3://bucket/path</c>, <c>gcs://…</c>, <c>oss://bucket.endpoint/path</c>, <c>ollama://name[:tag]</c>.</summary>
public static class ModelUri
{
    /// <summary>How Hugging Face is written.</summary>
    public const string HuggingFace = "hf";

    private const int MostCharacters = 2048;

    /// <summary>The schemes that are read here, beside <c>host</c> and those of engines.</summary>
    public static IReadOnlyList<string> Schemes { get; } = ["oss", "s3", "gcs", "ollama", HuggingFace, ModelSource.ModelScope, "https", "http"];

    /// <summary>The source, or null and what is wrong with it as a sentence's end.</summary>
    public static ModelSource? Parse(string scheme, string location, out string fault)
    {
        ArgumentNullException.ThrowIfNull(location);
        fault = "";
        if (location.Length > MostCharacters) fault = $"has {location.Length} characters; {MostCharacters} are allowed";
        else if (location.Any(char.IsControl)) fault = "holds a control character";
        else if (location.Length == 0) fault = $"names nothing after {scheme}://";
        if (fault.Length > 0) return null;

        switch (scheme)
        {
            case HuggingFace:
            case ModelSource.ModelScope:
                return Hub(scheme == HuggingFace ? ModelSource.HuggingFace : scheme, location, ref fault);
            case "https" or "http":
                if (Uri.TryCreate($"{scheme}://{location}", UriKind.Absolute, out var address) && address is { UserInfo: "", AbsolutePath.Length: > 1 }) return new ModelSource(scheme, location);
                fault = "is no address of a file; write https://host/path/model.gguf, without a name or password";
                return null;
            case "ollama":
                return new ModelSource(scheme, location);
            default:
                if (location.IndexOf('/') is > 0 and var slash && slash < location.Length - 1) return new ModelSource(scheme, location);
                fault = $"names no path in a bucket; write {scheme}://bucket/path/model.gguf, or the folder that the files are in";
                return null;
        }
    }

    /// <summary>The same of a whole URI.</summary>
    public static ModelSource? Parse(string uri, out string fault)
    {
        ArgumentNullException.ThrowIfNull(uri);
        var at = uri.IndexOf("://", StringComparison.Ordinal);
        var scheme = at < 0 ? "" : uri[..at].ToLowerInvariant();
        if (Schemes.Contains(scheme, StringComparer.Ordinal)) return Parse(scheme, uri[(at + 3)..], out fault);

        fault = $"has no known scheme; known are {string.Join(", ", Schemes.Select(known => known + "://"))}";
        return null;
    }

    private static ModelSource? Hub(string hub, string location, ref string fault)
    {
        var parts = location.TrimEnd('/').Split('/', 3);
        if (parts.Length < 2 || parts.Any(part => part.Length == 0))
        {
            fault = "names no repository; write org/name, org/name@revision or org/name/file.gguf";
            return null;
        }

        var at = parts[1].IndexOf('@');
        var revision = at < 0 ? DefaultRevision(hub) : Uri.UnescapeDataString(parts[1][(at + 1)..]); // refs/pr/1 is written refs%2Fpr%2F1
        if (revision.Length == 0) fault = "names no revision after @";
        return fault.Length > 0 ? null : new ModelSource(hub, $"{parts[0]}/{(at < 0 ? parts[1] : parts[1][..at])}", revision, parts.ElementAtOrDefault(2));
    }

    /// <summary>The branch that a hub has when nobody says.</summary>
    public static string DefaultRevision(string hub) => hub == ModelSource.ModelScope ? "master" : "main";
}
