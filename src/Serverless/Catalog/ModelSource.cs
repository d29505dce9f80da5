namespace Serverless.Catalog;

/// <summary>Where a model's files come from: a file or folder here, or a hub.</summary>
/// <param name="Scheme"><c>host</c>, <c>huggingface</c>, <c>modelscope</c>, <c>s3</c>, <c>gcs</c>, <c>oss</c>, <c>ollama</c>; <c>simulated</c> for an engine without weights.</param>
/// <param name="Location">A full path for <c>host</c>, else what the scheme names.</param>
/// <param name="Revision">Branch, tag or commit of a hub; null elsewhere.</param>
/// <param name="File">One file of the source; null for all.</param>
public sealed record ModelSource(string Scheme, string Location, string? Revision = null, string? File = null)
{
    /// <summary>The scheme of files of this machine.</summary>
    public const string FileScheme = "host";

    /// <summary>What tells a file of this machine from the one that lay there before; null where nobody looked.</summary>
    public string? Version { get; init; }
}
