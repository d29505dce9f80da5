using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Catalog.Manifests;
using Serverless.Feeds;
using Serverless.Hosting.Loading;

namespace Serverless.Hosting.Manifests;

/// <summary>The catalogue of all <c>*.yaml</c> and <c>*.yml</c> files of a folder and those below it. Thread-safe.</summary>
public sealed class FileCatalogSource : ICatalogSource
{
    private readonly string _folder;
    private readonly EngineTable _engines;
    private readonly GgufInspector _inspector;
    private readonly Lock _reloading = new();
    private readonly LatestValue<ModelCatalog> _current = new();
    private NotingInspector? _noted;

    /// <summary>Reads the folder.</summary>
    /// <exception cref="CatalogException">There is no such folder, or something in it is wrong.</exception>
    public FileCatalogSource(string folder, EngineTable engines) : this(folder, engines, null)
    {
    }

    /// <summary>The same; of models that are pulled it knows what lies in the cache.</summary>
    internal FileCatalogSource(string folder, EngineTable engines, ModelCache? models)
    {
        _inspector = new GgufInspector(models);
        _folder = Path.GetFullPath(folder);
        _engines = engines;
        var look = Look();
        var (reading, noting) = Read(look);
        Note(look, noting);
        _current.Set(reading.Catalog ?? throw new CatalogException(_folder, reading.Errors));
        Warnings = reading.Warnings;
    }

    /// <summary>The folder.</summary>
    public string Folder => _folder;

    /// <inheritdoc/>
    public ModelCatalog Current => _current.Value!;

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelCatalog> WatchAsync(CancellationToken cancellationToken) => _current.WatchAsync(cancellationToken);

    /// <summary>What has no effect, of the reading that <see cref="Current"/> is from.</summary>
    public IReadOnlyList<CatalogFinding> Warnings { get; private set; }

    /// <summary>The look that was read last, good or faulty.</summary>
    internal FolderLook LastRead { get; private set; } = new([], [], []);

    /// <summary>Reads the folder again. With an error the last good catalogue stays, and the answer says what is wrong.</summary>
    public CatalogReading Reload() => Reload(Look())!;

    /// <summary>Reads what a look saw. Null, and nothing is taken, where it no longer has a model that is there and is not believed yet.</summary>
    internal CatalogReading? Reload(FolderLook look, bool mayLose = true)
    {
        lock (_reloading)
        {
            var (reading, noting) = Read(look);
            if (!mayLose && reading.Catalog?.LacksOf(Current) == true) return null;

            Note(look, noting);
            if (reading.Catalog is not { } catalog) return reading;

            Warnings = reading.Warnings;
            var kept = catalog.KeepingFrom(Current);
            if (!ReferenceEquals(kept, Current)) _current.Set(kept);
            return reading with { Catalog = kept };
        }
    }

    /// <summary>Looks at the folder now.</summary>
    internal FolderLook Look() => FolderLook.At(_folder, LastRead.Models);

    private (CatalogReading Reading, NotingInspector Noting) Read(FolderLook look)
    {
        var errors = new List<CatalogFinding>(look.Errors);
        var manifests = new List<Manifest>();
        foreach (var file in look.Files) manifests.AddRange(YamlManifests.Read(file.Path, file.Bytes, errors));

        var noting = new NotingInspector(_inspector, _noted);
        var reading = new CatalogReader(_engines, noting, ShippedRecipes.Book).Read(manifests);
        return (errors.Count == 0 ? reading : reading with { Catalog = null, Errors = [.. errors, .. reading.Errors] }, noting);
    }

    private void Note(FolderLook look, NotingInspector noting) => (_noted, LastRead) = (noting, look with { Models = noting.Files });
}
