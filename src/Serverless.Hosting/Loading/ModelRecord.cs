using System.Security.Cryptography;
using System.Text;
using Serverless.Catalog;

namespace Serverless.Hosting.Loading;

/// <summary>A model of the cache: what it was asked for as, and of which files it is.</summary>
internal sealed record ModelRecord
{
    public const int CurrentVersion = 1;

    public required int Version { get; init; }

    /// <summary>As people see it.</summary>
    public required string Source { get; init; }

    /// <summary>The commit or alike that the revision was.</summary>
    public string? Revision { get; init; }

    /// <summary>The folder of its files, by their own names.</summary>
    public required string Snapshot { get; init; }

    /// <summary>False while it is pulled: its files are on their way.</summary>
    public bool IsWhole { get; init; }

    public DateTimeOffset PulledAt { get; init; }

    public required IReadOnlyList<CachedFile> Files { get; init; }

    public long Bytes => Files.Sum(file => file.Size);

    /// <summary>What tells a source from all others.</summary>
    public static string KeyOf(ModelSource source) => Hash(string.Join('\n', source.Scheme, source.Location, source.Revision, source.File, "allow", source.Allow, "ignore", source.Ignore))[..24];

    /// <summary>Of a text.</summary>
    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}

/// <summary>A file of a model.</summary>
/// <param name="Name">Its path in the model.</param>
/// <param name="Size">Its bytes.</param>
/// <param name="Blob">The name of its bytes: their SHA-256; while they are pulled what they are to be known by.</param>
/// <param name="Identity">What the source told them apart by.</param>
internal sealed record CachedFile(string Name, long Size, string Blob, string Identity);
