using System.Text.Json;
using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>
/// The models of this machine, shared by all its processes: <c>blobs/SHA256</c> the bytes, <c>parts</c> what is on its way, <c>models/KEY.json</c> what is known of each, <c>snapshots/…</c> its files
/// by their own names, as links. What is in <c>blobs</c> and <c>snapshots</c> is whole, for it comes there by a rename; a model is held by a shared lock of the system, which goes with its process. Thread-safe.
/// </summary>
internal sealed class ModelCache
{
    public ModelCache(ModelOptions options, TimeProvider time)
    {
        Folder = Path.GetFullPath(options.Directory is { Length: > 0 } named ? named : ModelOptions.DefaultDirectory);
        (Options, Time) = (options, time);
    }

    public string Folder { get; }

    public ModelOptions Options { get; }

    public TimeProvider Time { get; }

    /// <summary>The path of the model's file or folder, without a hold; null where it is not here. For who opens it once.</summary>
    public string? Find(ModelSource source) => Read(ModelRecord.KeyOf(source)) is { IsWhole: true } record && IsHere(record) ? EntryOf(record) : null;

    /// <summary>The model, held; null where it is not here, or not whole.</summary>
    public HeldModel? TryHold(ModelSource source)
    {
        var key = ModelRecord.KeyOf(source);
        if (Read(key) is not { IsWhole: true } record || CacheLock.TryShare(LockPath("snapshot-" + record.Snapshot)) is not { } hold) return null;

        // Whoever takes it away looks for holds first, and takes the record first: what is there now stays.
        if (Read(key) is { IsWhole: true } still && still.Snapshot == record.Snapshot && IsHere(record))
        {
            Touch(key);
            return new HeldModel(EntryOf(record), hold);
        }

        hold.Dispose();
        return null;
    }

    /// <summary>All there are, with when each was used last.</summary>
    public IReadOnlyList<(string Key, ModelRecord Record, DateTimeOffset UsedAt)> List() =>
    [
        .. (Directory.Exists(In("models")) ? Directory.GetFiles(In("models"), "*.json") : [])
            .Select(path => (Key: Path.GetFileNameWithoutExtension(path), Record: Read(Path.GetFileNameWithoutExtension(path)), UsedAt: new DateTimeOffset(File.GetLastWriteTimeUtc(path))))
            .Where(entry => entry.Record is not null).Select(entry => (entry.Key, entry.Record!, entry.UsedAt)).OrderBy(entry => entry.Item2.Source, StringComparer.Ordinal),
    ];

    /// <summary>Makes the folders.</summary>
    public void Prepare()
    {
        foreach (var folder in new[] { "blobs", "parts", "models", "snapshots", "locks" }) Directory.CreateDirectory(In(folder));
    }

    public ModelRecord? Read(string key)
    {
        try
        {
            var path = RecordPath(key);
            return File.Exists(path) && JsonSerializer.Deserialize<ModelRecord>(File.ReadAllBytes(path)) is { Version: ModelRecord.CurrentVersion } record && IsOfThisCache(record) ? record : null;
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException or NullReferenceException)
        {
            return null; // it was taken away just now, or is another release's
        }
    }

    public void Write(string key, ModelRecord record)
    {
        var temporary = In("parts", $"{key}-{Guid.NewGuid():N}.record");
        File.WriteAllBytes(temporary, JsonSerializer.SerializeToUtf8Bytes(record));
        File.SetLastWriteTimeUtc(temporary, Time.GetUtcNow().UtcDateTime);
        File.Move(temporary, RecordPath(key), overwrite: true);
    }

    /// <summary>Shows the model: its folder of links, then its record. Its bytes are there.</summary>
    public void Publish(string key, ModelRecord record)
    {
        var folder = SnapshotPath(record.Snapshot);
        if (Directory.Exists(folder))
        {
            foreach (var (file, link) in record.Files.Select(file => (file, Link: Path.Combine(folder, file.Name))).Where(pair => new FileInfo(pair.Link) is not { Exists: true, LinkTarget: not null }))
            {
                // Damaged bytes that one had in use were put in its place: who has them keeps them, and whoever opens it from now on has the new ones.
                File.Delete(link + ".new");
                CreateLink(link + ".new", folder, file);
                File.Move(link + ".new", link, overwrite: true);
            }
        }
        else
        {
            var temporary = In("parts", $"{record.Snapshot}-{Guid.NewGuid():N}");
            foreach (var file in record.Files) CreateLink(Path.Combine(temporary, file.Name), folder, file);
            Directory.Move(temporary, folder);
        }

        CacheLock.TryShare(LockPath("snapshot-" + record.Snapshot))?.Dispose(); // so that it can be held where the cache can only be read

        Write(key, record with { IsWhole = true });
    }

    public bool HasBlob(string blob, long? size) => new FileInfo(BlobPath(blob)) is { Exists: true } file && (size is null || file.Length == size);

    public string BlobPath(string blob) => In("blobs", blob);

    public string PartPath(string identity) => In("parts", ModelRecord.Hash(identity)[..40]);

    public string RecordPath(string key) => In("models", key + ".json");

    public string SnapshotPath(string snapshot) => In("snapshots", snapshot);

    public string LockPath(string name) => In("locks", name);

    public string In(params ReadOnlySpan<string> parts) => Path.Combine([Folder, .. parts]);

    /// <summary>A fault of the disk in words that say what to do.</summary>
    public ModelPullException FaultOf(Exception exception) => exception switch
    {
        IOException when exception.Message.Contains("allocation size", StringComparison.Ordinal) => Full(exception), // .NET's, of room that was to be kept
        IOException { HResult: 27 or 28 or 122 or unchecked((int)0x80070070) or unchecked((int)0x80070027) } => Full(exception),
        _ => new ModelPullException($"The model cache '{Folder}' cannot be written: {exception.Message} What is in it already is served; for more, let this user write it, or name another folder in {ModelOptions.Section}:{nameof(ModelOptions.Directory)}.", exception),
    };

    private ModelPullException Full(Exception exception) => new($"The model cache '{Folder}' cannot take more: its disk is full ({exception.Message}). Free some of it ('serverless models rm'), or name a folder of another disk in {ModelOptions.Section}:{nameof(ModelOptions.Directory)}.", exception);

    /// <summary>Whether it names nothing beside the cache: others may have written it, and what it names is deleted some day.</summary>
    private static bool IsOfThisCache(ModelRecord record) => IsPlain(record.Snapshot) && record.Files.All(file => IsPlain(file.Blob) && RemoteNames.FaultOf(file.Name) is null);

    private static bool IsPlain(string? name) => name is { Length: > 0 } && name.All(static character => char.IsAsciiLetterOrDigit(character) || character == '-');

    private void CreateLink(string link, string folder, CachedFile file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, Path.GetRelativePath(Path.Combine(folder, Path.GetDirectoryName(file.Name)!), BlobPath(file.Blob)));
    }

    /// <summary>All its files are there, as long as they were.</summary>
    private bool IsHere(ModelRecord record) => Directory.Exists(SnapshotPath(record.Snapshot)) && record.Files.All(file => HasBlob(file.Blob, file.Size));

    private string EntryOf(ModelRecord record) => FileChoice.Entry([.. record.Files.Select(file => file.Name)]) is { } entry ? Path.Combine(SnapshotPath(record.Snapshot), entry) : SnapshotPath(record.Snapshot);

    /// <summary>Notes that it was used; a cache that cannot be written goes without.</summary>
    private void Touch(string key)
    {
        try
        {
            File.SetLastWriteTimeUtc(RecordPath(key), Time.GetUtcNow().UtcDateTime);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }
}
