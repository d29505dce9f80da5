using System.Buffers;
using System.Globalization;
using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using Serverless.Files;

namespace Serverless.Hosting.Files;

/// <summary>
/// Files in a directory, of one machine or shared by several: <c>ROOM/SHARD/NAME</c>. A put writes into <c>.writing</c>, syncs the file, renames it and syncs the directory, so that a name is
/// there with all of its bytes or not at all, whenever the power goes. Thread-safe; several processes may share the directory.
/// </summary>
/// <param name="folder">Made where there is none.</param>
/// <param name="time">Files are dated by it.</param>
/// <param name="at">Hears of each step of a put, and fails it by throwing: a test's.</param>
internal sealed class LocalFileStore(string folder, TimeProvider time, Action<PutStep>? at = null) : IFileStore
{
    private const int BufferBytes = 128 * 1024;

    /// <summary>Folders of a room, by hash, so that none becomes long and a page of a list reads one.</summary>
    private const int Shards = 256;

    /// <summary>A local disk answers or fails; a network's file system may hang a thread, which nothing here can end.</summary>
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(30);

    private readonly string _folder = Path.GetFullPath(folder);
    private readonly string _writing = Path.Combine(Path.GetFullPath(folder), ".writing");

    public async ValueTask<StoredBytes?> PutAsync(FileKey key, Stream content, long maxBytes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        var temporary = Path.Combine(_writing, Guid.NewGuid().ToString("n"));
        try
        {
            var stored = await WriteAsync(temporary, content, maxBytes, cancellationToken);
            if (stored is not null) await Task.Run(() => Mapped(() => Rename(temporary, key)), CancellationToken.None);
            return stored;
        }
        finally
        {
            TryDelete(temporary); // renamed, it is not there any more
        }
    }

    public ValueTask<Stream?> OpenAsync(FileKey key, long offset, long? length, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (length is { } bounded) ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bounded, nameof(length));
        return new(Mapped(() =>
        {
            FileStream file;
            try
            {
                file = new FileStream(PathOf(key), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 0, System.IO.FileOptions.Asynchronous);
            }
            catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
            {
                return null;
            }

            file.Position = Math.Min(offset, file.Length);
            return (Stream)new StoreStream(file, length ?? long.MaxValue, ReadTimeout, time);
        }));
    }

    public ValueTask DeleteAsync(FileKey key, CancellationToken cancellationToken)
    {
        Mapped(() => Delete(PathOf(key)));
        return default;
    }

    public ValueTask<IReadOnlyList<FileEntry>> ListAsync(string room, string? after, int limit, CancellationToken cancellationToken) => new(Mapped<IReadOnlyList<FileEntry>>(() =>
    {
        var entries = new List<FileEntry>();
        var first = after is null ? 0 : ShardOf(after);
        for (var shard = first; shard < Shards && entries.Count < limit; shard++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var directory = new DirectoryInfo(Path.Combine(_folder, room, ShardName(shard)));
            if (!directory.Exists) continue;

            var names = directory.EnumerateFiles().Where(file => FileKey.IsName(file.Name) && (shard != first || after is null || string.CompareOrdinal(file.Name, after) > 0));
            entries.AddRange(names.OrderBy(file => file.Name, StringComparer.Ordinal).Take(limit - entries.Count).Where(file => file.Exists)
                .Select(file => new FileEntry(new FileKey(room, file.Name), file.Length, new DateTimeOffset(file.LastWriteTimeUtc))));
        }

        return entries;
    }));

    public ValueTask<int> DiscardUnfinishedAsync(DateTimeOffset begunBefore, CancellationToken cancellationToken) => new(Mapped(() =>
    {
        if (!Directory.Exists(_writing)) return 0;

        var old = new DirectoryInfo(_writing).EnumerateFiles().Where(file => file.LastWriteTimeUtc < begunBefore.UtcDateTime).ToArray();
        foreach (var file in old) Delete(file.FullName);
        return old.Length;
    }));

    private async Task<StoredBytes?> WriteAsync(string temporary, Stream content, long maxBytes, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            var length = 0L;
            await using (var file = Mapped(() => Create(temporary)))
            {
                while (await content.ReadAsync(buffer, cancellationToken) is > 0 and var read)
                {
                    length += read;
                    if (length > maxBytes) return null;

                    hash.AppendData(buffer, 0, read);
                    try
                    {
                        await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                    }
                    catch (Exception exception) when (IsDisk(exception))
                    {
                        throw StoreFaults.Away(exception, late: false);
                    }
                }

                at?.Invoke(PutStep.Written);
                await Task.Run(() => Mapped(() => file.Flush(flushToDisk: true)), CancellationToken.None);
            }

            Mapped(() => File.SetLastWriteTimeUtc(temporary, time.GetUtcNow().UtcDateTime));
            at?.Invoke(PutStep.Synced);
            return new StoredBytes(length, Convert.ToHexStringLower(hash.GetHashAndReset()));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private FileStream Create(string path)
    {
        Directory.CreateDirectory(_writing);
        return new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read, 0, System.IO.FileOptions.Asynchronous);
    }

    private void Rename(string temporary, FileKey key)
    {
        var path = PathOf(key);
        var shard = Path.GetDirectoryName(path)!;
        if (!Directory.Exists(shard))
        {
            // The names of new folders must be on disk as well, or the file is in none.
            Directory.CreateDirectory(shard);
            for (var parent = Path.GetDirectoryName(shard)!; ; parent = Path.GetDirectoryName(parent)!)
            {
                FolderSync.Flush(parent);
                if (parent == _folder) break;
            }

            if (Path.GetDirectoryName(_folder) is { } outside) FolderSync.Flush(outside);
        }

        File.Move(temporary, path, overwrite: true);
        at?.Invoke(PutStep.Renamed);
        FolderSync.Flush(shard);
    }

    private string PathOf(FileKey key) => Path.Combine(_folder, key.Room, ShardName(ShardOf(key.Name)), key.Name);

    private static string ShardName(int shard) => shard.ToString("x2", CultureInfo.InvariantCulture);

    private static int ShardOf(string name) => (int)(XxHash32.HashToUInt32(Encoding.UTF8.GetBytes(name)) % Shards);

    private static void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (DirectoryNotFoundException)
        {
            // Nor is the file.
        }
    }

    /// <summary>What stays is cleared a day later.</summary>
    private static void TryDelete(string path)
    {
        try
        {
            Delete(path);
        }
        catch (Exception exception) when (IsDisk(exception))
        {
            // The put has failed already, or has not.
        }
    }

    private static void Mapped(Action action) => Mapped<object?>(() =>
    {
        action();
        return null;
    });

    private static T Mapped<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception exception) when (IsDisk(exception))
        {
            throw StoreFaults.Away(exception, late: false);
        }
    }

    private static bool IsDisk(Exception exception) => exception is IOException or UnauthorizedAccessException;
}

/// <summary>How far a put is.</summary>
internal enum PutStep
{
    /// <summary>All bytes are written, and may be in the system's memory alone.</summary>
    Written,

    /// <summary>They are on disk, under a temporary name.</summary>
    Synced,

    /// <summary>They have their name, which may be in the system's memory alone.</summary>
    Renamed,
}
