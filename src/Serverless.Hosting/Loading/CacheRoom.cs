using System.Globalization;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>Room in the cache: who is to come has it before the first byte does, and the models unused for longest make it. What a process holds or pulls is never taken. All under one lock of the machine.</summary>
internal sealed class CacheRoom(ModelCache cache, Func<string, long>? freeBytes = null)
{
    private const string ComingSuffix = ".coming";

    private readonly Func<string, long> _freeBytes = freeBytes ?? FreeBytes;

    /// <summary>The key under which it is noted what of a model is on its way.</summary>
    public static string Coming(string key) => key + ComingSuffix;

    /// <summary>Notes what a model is going to need, and makes room for it.</summary>
    /// <exception cref="ModelPullException">It does not fit though all that may went.</exception>
    public async Task ReserveAsync(string key, ModelRecord coming, CancellationToken cancellationToken)
    {
        await using var alone = await AloneAsync(cancellationToken);
        while (true)
        {
            var others = cache.List().Where(entry => entry.Key != Coming(key)).ToList();
            var there = Blobs(others.Select(entry => entry.Record));
            var missingFiles = coming.Files.DistinctBy(file => file.Blob).Where(file => !there.ContainsKey(file.Blob)).ToList();
            var used = there.Values.Sum();
            var needed = missingFiles.Sum(file => file.Size);
            var missing = missingFiles.Where(file => !cache.HasBlob(file.Blob, file.Size)).Sum(file => Math.Max(0, file.Size - PartBytes(file)));
            var free = _freeBytes(cache.Folder) - cache.Options.MinFreeBytes;
            var (tooMany, tooFull) = (cache.Options.MaxBytes > 0 && used + needed > cache.Options.MaxBytes, missing > free);
            if (!tooMany && !tooFull)
            {
                cache.Write(Coming(key), coming);
                return;
            }

            if (others.OrderBy(entry => entry.UsedAt).FirstOrDefault(entry => TryRemove(entry.Key, entry.Record)) is { Key: not null })
            {
                Sweep();
                continue;
            }

            throw new ModelPullException(tooMany
                ? string.Create(CultureInfo.InvariantCulture, $"{coming.Source} needs {needed:N0} bytes of the model cache '{cache.Folder}', which holds {used:N0} that are in use or being pulled, of {cache.Options.MaxBytes:N0} ({ModelOptions.Section}:{nameof(ModelOptions.MaxBytes)}). Raise that, or stop what uses another model.")
                : string.Create(CultureInfo.InvariantCulture, $"{coming.Source} needs {missing:N0} bytes more on the disk of the model cache '{cache.Folder}', which has {Math.Max(0, free):N0} beside the {cache.Options.MinFreeBytes:N0} to be left free ({ModelOptions.Section}:{nameof(ModelOptions.MinFreeBytes)}). Free some of it, or name a folder of another disk in {ModelOptions.Section}:{nameof(ModelOptions.Directory)}."));
        }
    }

    /// <summary>A file of it is here, whole: it goes to the others, and is noted, so that no sweep takes it for nobody's.</summary>
    public async Task KeepAsync(string key, ModelRecord coming, string part, string blob, CancellationToken cancellationToken)
    {
        await using var alone = await AloneAsync(cancellationToken);
        cache.Write(Coming(key), coming);
        File.Move(part, cache.BlobPath(blob), overwrite: true);
        PartFile.Delete(part);
    }

    /// <summary>All of it is here: it is shown.</summary>
    public async Task PublishAsync(string key, ModelRecord record, CancellationToken cancellationToken)
    {
        await using var alone = await AloneAsync(cancellationToken);
        cache.Publish(key, record);
        File.Delete(cache.RecordPath(Coming(key)));
        Sweep(); // of what it was before
    }

    /// <summary>Takes a model away; false where one holds or pulls it.</summary>
    public async Task<bool> RemoveAsync(string key, CancellationToken cancellationToken)
    {
        await using var alone = await AloneAsync(cancellationToken);
        if (cache.Read(key) is not { } record || !TryRemove(key, record)) return false;

        Sweep();
        return true;
    }

    /// <summary>Takes bytes out that are not what they were; where a process has them in use they stay at the path that it knows, and the next load has them anew.</summary>
    /// <param name="blob">Their name.</param>
    /// <param name="writtenAt">When what was read was written: what came since is another.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>Whether one has them in use.</returns>
    public async Task<bool> TakeOutAsync(string blob, DateTime writtenAt, CancellationToken cancellationToken)
    {
        await using var alone = await AloneAsync(cancellationToken);
        var path = cache.BlobPath(blob);
        if (File.GetLastWriteTimeUtc(path) != writtenAt) return false;

        var isHeld = false;
        foreach (var folder in Directory.GetDirectories(cache.In("snapshots")))
        {
            var links = Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Where(link => BlobOf(link) == blob).ToList();
            if (links.Count == 0) continue;
            using var free = CacheLock.TryTake(cache.LockPath("snapshot-" + Path.GetFileName(folder)));
            if (free is not null) continue;

            isHeld = true;
            if (File.Exists(path)) File.Move(path, links[0], overwrite: true);
        }

        File.Delete(path);
        return isHeld;
    }

    private static string BlobOf(string link) => Path.GetFileName(new FileInfo(link).LinkTarget ?? "");

    private static long FreeBytes(string folder) => new DriveInfo(folder).AvailableFreeSpace;

    private Task<FileStream> AloneAsync(CancellationToken cancellationToken) => CacheLock.TakeAsync(cache.LockPath("cache"), cache.Time, cancellationToken);

    /// <summary>Whoever holds it has its lock, and whoever pulls it has that of its key.</summary>
    private bool TryRemove(string key, ModelRecord record)
    {
        using var pulling = CacheLock.TryTake(cache.LockPath("model-" + key.Split('.')[0]));
        if (pulling is null) return false;
        using var held = CacheLock.TryTake(cache.LockPath("snapshot-" + record.Snapshot));
        if (held is null) return false;

        File.Delete(cache.RecordPath(key));
        if (Directory.Exists(cache.SnapshotPath(record.Snapshot))) Directory.Delete(cache.SnapshotPath(record.Snapshot), recursive: true);
        return true;
    }

    /// <summary>What no model names is gone: blobs, parts, and snapshots that a newer one took the place of, once nobody holds them.</summary>
    private void Sweep()
    {
        var records = cache.List().Select(entry => entry.Record).ToList();
        var (snapshots, blobs) = (records.Select(record => record.Snapshot).ToHashSet(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal));
        foreach (var file in records.SelectMany(record => record.Files)) blobs.Add(file.Blob);
        foreach (var folder in Directory.GetDirectories(cache.In("snapshots")).Where(folder => !snapshots.Contains(Path.GetFileName(folder))))
        {
            using var held = CacheLock.TryTake(cache.LockPath("snapshot-" + Path.GetFileName(folder)));
            if (held is null) blobs.UnionWith(Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Select(BlobOf));
            else Directory.Delete(folder, recursive: true);
        }

        foreach (var blob in Directory.GetFiles(cache.In("blobs")).Where(blob => !blobs.Contains(Path.GetFileName(blob)))) File.Delete(blob);
        var parts = records.Where(record => !record.IsWhole).SelectMany(record => record.Files).Select(file => Path.GetFileName(cache.PartPath(file.Identity))).ToHashSet(StringComparer.Ordinal);
        foreach (var part in Directory.GetFiles(cache.In("parts")).Where(part => !parts.Contains(Path.GetFileName(part).Split('.')[0]))) File.Delete(part);
        foreach (var folder in Directory.GetDirectories(cache.In("parts"))) Directory.Delete(folder, recursive: true); // of one that was killed: such are made under the lock that this runs under, as are records
    }

    /// <summary>Bytes of the disk that it has already: all of them from its beginning on where its length is known, else what came.</summary>
    private long PartBytes(CachedFile file)
    {
        var path = cache.PartPath(file.Identity);
        using var part = PartFile.Open(path);
        return part?.Length ?? (new FileInfo(path) is { Exists: true } begun ? begun.Length : 0);
    }

    private static Dictionary<string, long> Blobs(IEnumerable<ModelRecord> records)
    {
        var blobs = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var file in records.SelectMany(record => record.Files)) blobs[file.Blob] = file.Size;
        return blobs;
    }
}
