using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.Feeds;

namespace Serverless.Hosting.Manifests;

/// <summary>The catalogue of all <c>*.yaml</c> and <c>*.yml</c> files of a folder and those below it. Thread-safe.</summary>
public sealed class FileCatalogSource : ICatalogSource
{
    private readonly string _folder;
    private readonly CatalogReader _reader;
    private readonly Lock _reloading = new();
    private readonly LatestValue<ModelCatalog> _current = new();

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
        _current.Set(reading.Catalog ?? throw new CatalogException(_folder, reading.Errors));
        Warnings = reading.Warnings;
    }

    /// <inheritdoc/>
    public ModelCatalog Current => _current.Value!;

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelCatalog> WatchAsync(CancellationToken cancellationToken) => _current.WatchAsync(cancellationToken);

    /// <summary>What has no effect, of the reading that <see cref="Current"/> is from.</summary>
    public IReadOnlyList<CatalogFinding> Warnings { get; private set; }

    /// <summary>Reads the folder again. With an error the last good catalogue stays, and the answer says what is wrong.</summary>
    public CatalogReading Reload()
    {
        lock (_reloading)
        {
            var reading = Read();
            if (reading.Catalog is not { } catalog) return reading;

            Warnings = reading.Warnings;
            _current.Set(catalog);
            return reading;
        }
    }

    private CatalogReading Read()
    {
        var errors = new List<CatalogFinding>();
        var manifests = new List<Manifest>();
        foreach (var file in ManifestFolder.Read(_folder, errors)) manifests.AddRange(YamlManifests.Read(file.Path, file.Bytes, errors));

        var reading = _reader.Read(manifests);
        return errors.Count == 0 ? reading : reading with { Catalog = null, Errors = [.. errors, .. reading.Errors] };
    }
}
