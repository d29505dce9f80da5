namespace Serverless.Catalog;

/// <summary>Where a model's files come from: a file or folder here, a hub, a bucket, a registry, the web.</summary>
/// <param name="Scheme"><c>host</c>, <c>huggingface</c>, <c>modelscope</c>, <c>s3</c>, <c>gcs</c>, <c>oss</c>, <c>ollama</c>, <c>https</c>, <c>http</c>; <c>simulated</c> for an engine without weights.</param>
/// <param name="Location">A full path for <c>host</c>, else what the scheme names.</param>
/// <param name="Revision">Branch, tag or commit of a hub; null elsewhere.</param>
/// <param name="File">One file of the source; null for all.</param>
public sealed record ModelSource(string Scheme, string Location, string? Revision = null, string? File = null)
{
    /// <summary>The scheme of files of this machine.</summary>
    public const string FileScheme = "host";

    /// <summary>Hugging Face.</summary>
    public const string HuggingFace = "huggingface";

    /// <summary>ModelScope.</summary>
    public const string ModelScope = "modelscope";

    /// <summary>The schemes whose files are pulled to this machine before an engine reads them.</summary>
    public static IReadOnlyList<string> Pulled { get; } = [HuggingFace, ModelScope, "s3", "gcs", "oss", "ollama", "https", "http"];

    /// <summary>What tells a file of this machine from the one that lay there before; null where nobody looked.</summary>
    public string? Version { get; init; }

    /// <summary>Which files of it, as globs, one a line; null: those that an engine reads.</summary>
    public string? Allow { get; init; }

    /// <summary>Which of them are left out, as globs, one a line; null: none.</summary>
    public string? Ignore { get; init; }

    /// <summary>Whether its files must come here first.</summary>
    public bool IsPulled => Pulled.Contains(Scheme, StringComparer.Ordinal);

    /// <summary>For people, logs and lists: without what an address has behind the question mark, where signatures and keys are.</summary>
    public string Shown => Scheme is "https" or "http" && Text.IndexOf('?', StringComparison.Ordinal) is > 0 and var at ? Text[..at] + "?…" : Text;

    /// <summary>As <see cref="ModelUri"/> reads it.</summary>
    public string Text => Scheme switch
    {
        HuggingFace or ModelScope => $"{(Scheme == HuggingFace ? ModelUri.HuggingFace : Scheme)}://{Location}{(Revision is { } revision ? $"@{Uri.EscapeDataString(revision)}" : "")}{(File is { } file ? $"/{file}" : "")}",
        _ => $"{Scheme}://{Location}",
    };
}
