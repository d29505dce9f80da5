using System.IO.Enumeration;
using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>
/// The <c>*.yaml</c> and <c>*.yml</c> files of a folder and those below it, in the order of their paths. What cannot be seen is an error and never taken for not there: whoever believed it would
/// take its models out of service.
/// </summary>
internal static class ManifestFolder
{
    private const int MaxFiles = 1000;

    /// <summary>Reads all of them; what cannot be read is added to <paramref name="errors"/>.</summary>
    public static IReadOnlyList<(string Path, byte[] Bytes)> Read(string folder, List<CatalogFinding> errors)
    {
        var files = new List<(string, byte[])>();
        foreach (var path in Paths(folder, errors))
        {
            try
            {
                if (Read(path, out var fault) is { } bytes) files.Add((path, bytes));
                else errors.Add(new CatalogFinding(path, 1, null, "", null, fault));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                errors.Add(new CatalogFinding(path, 1, null, "", null, $"cannot be read: {exception.Message}"));
            }
        }

        return files;
    }

    private static byte[]? Read(string path, out string fault)
    {
        // Asked before it is opened: pipes and devices have no length either, and who opens one waits for somebody to write.
        fault = "is empty: it is being written, or no file at all; remove it, or leave a comment in it, if it is to hold nothing";
        if (ModelFile.Final(path).Length == 0) return null;

        using var stream = File.OpenRead(path);
        var bytes = new byte[Math.Min(stream.Length, YamlManifests.MaxBytes) + 1];
        var length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (length > YamlManifests.MaxBytes) fault = $"has {stream.Length} bytes; {YamlManifests.MaxBytes} are allowed";
        return length is 0 or > YamlManifests.MaxBytes ? null : bytes[..length];
    }

    private static List<string> Paths(string folder, List<CatalogFinding> errors)
    {
        var files = new List<string>();
        try
        {
            // Hidden ones are left out: a mounted ConfigMap has every file a second time below ..data. The depth bounds links that lead back.
            var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.Hidden, MaxRecursionDepth = 16, IgnoreInaccessible = false };
            var entries = new FileSystemEnumerable<(string Path, bool IsLink)>(folder, (ref FileSystemEntry entry) => (entry.ToSpecifiedFullPath(), entry.Attributes.HasFlag(FileAttributes.ReparsePoint)), options)
            {
                ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory,
                ShouldRecursePredicate = (ref FileSystemEntry entry) => !entry.FileName.SequenceEqual("lost+found"), // a volume's own, which nobody else may read
            };
            foreach (var (path, isLink) in entries)
            {
                if (Path.GetExtension(path) is ".yaml" or ".yml") files.Add(path);
                else if (isLink && !ModelFile.Final(path).Exists) errors.Add(new CatalogFinding(path, 1, null, "", null, "is a link to what is not there; it may be a folder of manifests. Bring it back, or remove the link"));
                if (files.Count > MaxFiles) break;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            errors.Add(new CatalogFinding(folder, 1, null, "", null, $"cannot be read: {exception.Message}"));
        }

        if (files.Count > MaxFiles) errors.Add(new CatalogFinding(folder, 1, null, "", null, $"holds more than {MaxFiles} manifest files; name a folder that holds manifests only"));
        else if (files.Count == 0 && errors.Count == 0) errors.Add(new CatalogFinding(folder, 1, null, "", null, "holds no *.yaml or *.yml file; a model needs an OpenModel and a Playground"));
        files.Sort(StringComparer.Ordinal);
        return files;
    }
}
