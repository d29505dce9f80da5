using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>The <c>*.yaml</c> and <c>*.yml</c> files of a folder and those below it, in the order of their paths.</summary>
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
                var length = new FileInfo(path).Length;
                if (length > YamlManifests.MaxBytes) errors.Add(new CatalogFinding(path, 1, null, "", null, $"has {length} bytes; {YamlManifests.MaxBytes} are allowed"));
                else files.Add((path, File.ReadAllBytes(path)));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                errors.Add(new CatalogFinding(path, 1, null, "", null, $"cannot be read: {exception.Message}"));
            }
        }

        return files;
    }

    private static List<string> Paths(string folder, List<CatalogFinding> errors)
    {
        var files = new List<string>();
        try
        {
            // Hidden ones are left out: a mounted ConfigMap has every file a second time below ..data. The depth bounds links that lead back.
            var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.Hidden, MaxRecursionDepth = 16 };
            files.AddRange(Directory.EnumerateFiles(folder, "*", options).Where(path => Path.GetExtension(path) is ".yaml" or ".yml").Take(MaxFiles + 1));
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
