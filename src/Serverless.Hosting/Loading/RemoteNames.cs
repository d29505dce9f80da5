using System.Globalization;
using System.Text;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>The bounds of what a listing may say. It is a stranger's text: a name may lead nowhere but below the model's own folder, and no size or number is believed beyond what any model has.</summary>
internal static class RemoteNames
{
    /// <summary>Files of one model.</summary>
    public const int MostFiles = 10_000;

    /// <summary>Bytes of one file: 16 TiB.</summary>
    public const long MostBytes = 1L << 44;

    private const int LongestName = 512; // bytes, as disks count; of a part, too
    private const int LongestPart = 200;
    private const int MostParts = 16;

    /// <summary>The listing, or why it is refused.</summary>
    /// <exception cref="ModelPullException">It holds what no model holds.</exception>
    public static Listing Check(Listing listing, string source)
    {
        if (listing.Files.Count > MostFiles) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{source} lists {listing.Files.Count} files; {MostFiles} are allowed. Name one, or give patterns."));

        // No two differ in the case of letters alone, for some disks have one place for both; and none is a folder of another.
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var file in listing.Files)
        {
            if (FaultOf(file.Name) is { } fault) throw new ModelPullException($"{source} lists a file '{Shown(file.Name)}', which {fault}; it is refused.");
            if (file.Size is < 0 or > MostBytes) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{source} lists '{file.Name}' with {file.Size} bytes; 0 to {MostBytes} are allowed."));
            if (!seen.Add(file.Name)) throw new ModelPullException($"{source} lists '{file.Name}' twice.");
            if (file.Sha256 is { } sha && !IsSha256(sha)) throw new ModelPullException($"{source} lists '{file.Name}' with the checksum '{Shown(sha)}', which is no SHA-256.");
        }

        foreach (var file in listing.Files)
        {
            for (var at = file.Name.IndexOf('/'); at > 0; at = file.Name.IndexOf('/', at + 1))
            {
                if (seen.Contains(file.Name[..at])) throw new ModelPullException($"{source} lists '{file.Name[..at]}' as a file and as a folder.");
            }
        }

        return listing;
    }

    /// <summary>Lower-case, as it is compared.</summary>
    public static bool IsSha256(string text) => text.Length == 64 && text.All(char.IsAsciiHexDigitLower);

    /// <summary>A sentence's end; null where it is a path below a folder.</summary>
    internal static string? FaultOf(string name)
    {
        if (Encoding.UTF8.GetByteCount(name) is var bytes and (0 or > LongestName)) return string.Create(CultureInfo.InvariantCulture, $"has {bytes} bytes; 1 to {LongestName} are allowed");
        if (name.Any(character => char.IsControl(character) || char.IsSurrogate(character) || character is '\\' or ':' or '\u2028' or '\u2029')) return "holds a character that no path has";

        var parts = name.Split('/');
        if (parts.Length > MostParts) return string.Create(CultureInfo.InvariantCulture, $"lies {parts.Length} folders deep; {MostParts} are allowed");
        if (Array.Exists(parts, part => part is "" or "." or ".." || part != part.Trim())) return "leads out of its folder, or nowhere";
        return Array.Exists(parts, part => Encoding.UTF8.GetByteCount(part) > LongestPart) ? string.Create(CultureInfo.InvariantCulture, $"has a part of more than {LongestPart} bytes, the limit") : null;
    }

    /// <summary>A stranger's text in a message: short, and without what a screen takes for a command.</summary>
    public static string Shown(string text) => new([.. text.Take(100).Select(character => char.IsControl(character) || char.IsSurrogate(character) ? '?' : character)]);
}
