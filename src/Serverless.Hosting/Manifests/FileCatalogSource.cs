using Serverless.Catalog;
using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>The catalogue of all <c>*.yaml</c> and <c>*.yml</c> files of a folder and those below it. Thread-safe.</summary>
public sealed class FileCatalogSource : ICatalogSource
{
    private const int MaxFiles = 1000;

    private readonly string _folder;
    private readonly CatalogReader _reader;
    private readonly Lock _reloading = new();
    private volatile ModelCatalog _current;

    /// <summary>Reads the folder.</summary>
    /// <exception cref="CatalogException">There is no such folder, or something in it is wrong.</exception>
    public FileCatalogSource(string folder)
        : this(folder, new GgufInspector())
    {
    }

    internal FileCatalogSource(string folder, IModelInspector inspector)
    {
        _folder = Path.GetFullPath(folder);
        _reader = new CatalogReader(inspector);
        var reading = Read();
        _current = reading.Catalog ?? throw new CatalogException(_folder, reading.Errors);
        Warnings = reading.Warnings;
    }

    /// <inheritdoc/>
    public ModelCatalog Current => _current;

    /// <summary>What has no effect, of the reading that <see cref="Current"/> is from.</summary>
    public IReadOnlyList<CatalogFinding> Warnings { get; private set; }

    /// <summary>Reads the folder again. With an error the last good catalogue stays, and the answer says what is wrong.</summary>
    public CatalogReading Reload()
    {
        lock (_reloading)
        {
            var reading = Read();
            if (reading.Catalog is { } catalog) (_current, Warnings) = (catalog, reading.Warnings);
            return reading;
        }
    }

    private CatalogReading Read()
    {
        var errors = new List<CatalogFinding>();
        var manifests = new List<Manifest>();
        foreach (var path in Files(errors)) ReadFile(path, manifests, errors);

        var reading = _reader.Read(manifests);
        return errors.Count == 0 ? reading : reading with { Catalog = null, Errors = [.. errors, .. reading.Errors] };
    }

    private List<string> Files(List<CatalogFinding> errors)
    {
        var files = new List<string>();
        try
        {
            // Hidden ones are left out: a mounted ConfigMap has every file a second time below ..data. The depth bounds links that lead back.
            var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.Hidden, MaxRecursionDepth = 16 };
            files.AddRange(Directory.EnumerateFiles(_folder, "*", options).Where(path => Path.GetExtension(path) is ".yaml" or ".yml").Take(MaxFiles + 1));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            errors.Add(new CatalogFinding(_folder, 1, null, "", null, $"cannot be read: {exception.Message}"));
        }

        if (files.Count > MaxFiles) errors.Add(new CatalogFinding(_folder, 1, null, "", null, $"holds more than {MaxFiles} manifest files; name a folder that holds manifests only"));
        else if (files.Count == 0 && errors.Count == 0) errors.Add(new CatalogFinding(_folder, 1, null, "", null, "holds no *.yaml or *.yml file; a model needs an OpenModel and a Playground"));
        files.Sort(StringComparer.Ordinal);
        return files;
    }

    private static void ReadFile(string path, List<Manifest> manifests, List<CatalogFinding> errors)
    {
        try
        {
            var length = new FileInfo(path).Length;
            if (length > YamlManifests.MaxBytes) errors.Add(new CatalogFinding(path, 1, null, "", null, $"has {length} bytes; {YamlManifests.MaxBytes} are allowed"));
            else manifests.AddRange(YamlManifests.Read(path, File.ReadAllBytes(path), errors));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            errors.Add(new CatalogFinding(path, 1, null, "", null, $"cannot be read: {exception.Message}"));
        }
    }
}
