using System.Globalization;
using System.Security.Cryptography;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>One pull of one model: its files side by side, within one number of connections.</summary>
internal sealed class ModelPull(ModelStore store, HubHttp http, string key, ModelRecord coming, Listing listing, IProgress<double> progress) : IDisposable
{
    private const int MostWrong = 2;

    private readonly ModelCache _cache = store.Cache;
    private readonly SemaphoreSlim _connections = new(store.Cache.Options.Connections);
    private readonly SemaphoreSlim _noting = new(1);
    private readonly CachedFile[] _files = [.. coming.Files];
    private long _arrived;

    /// <summary>The record with what its files are now.</summary>
    public async Task<ModelRecord> RunAsync(CancellationToken cancellationToken)
    {
        await Parallel.ForEachAsync(Enumerable.Range(0, _files.Length), new ParallelOptions { MaxDegreeOfParallelism = _cache.Options.Connections, CancellationToken = cancellationToken }, async (index, token) => await FileAsync(index, token));
        return coming with { Files = _files };
    }

    public void Dispose()
    {
        _connections.Dispose();
        _noting.Dispose();
    }

    private async Task FileAsync(int index, CancellationToken cancellationToken)
    {
        var remote = listing.Files[index];
        var path = _cache.PartPath(remote.Identity);

        // Another model may have the same file.
        await using var turn = await CacheLock.TakeAsync(_cache.LockPath("part-" + Path.GetFileName(path)), _cache.Time, cancellationToken);
        if (KnownBlob(remote) is { } known)
        {
            _files[index] = _files[index] with { Blob = known, Size = new FileInfo(_cache.BlobPath(known)).Length };
            Arrived(_files[index].Size);
            return;
        }

        for (var wrong = 1; ; wrong++)
        {
            var download = new RangedDownload(remote, path, _cache.Options, http, _connections, new Arrival(Arrived, (bytes, token) => RoomAsync(index, bytes, token)));
            var (part, sha256) = await download.RunAsync(cancellationToken);
            using (part)
            {
                if (await WrongAsync(remote, part, sha256, cancellationToken) is not { } fault)
                {
                    RandomAccess.FlushToDisk(part.Handle);
                    await KeepAsync(index, new CachedFile(remote.Name, part.Length!.Value, sha256, remote.Identity), path, cancellationToken);
                    return;
                }

                Arrived(-part.Length!.Value);
                PartFile.Delete(path);
                if (wrong == MostWrong) throw new ModelPullException($"'{remote.Name}' of {coming.Source} is not what its source says it is, pulled {wrong} times: {fault}. Nothing of it is kept.");
            }
        }
    }

    /// <summary>Room for a file whose listing does not say how long it is.</summary>
    private async Task RoomAsync(int index, long bytes, CancellationToken cancellationToken)
    {
        await _noting.WaitAsync(cancellationToken);
        try
        {
            if (bytes <= _files[index].Size) return;

            _files[index] = _files[index] with { Size = bytes };
            await store.Room.ReserveAsync(key, coming with { Files = [.. _files] }, cancellationToken);
        }
        finally
        {
            _noting.Release();
        }
    }

    /// <summary>Bytes that are here already: by their checksum, or of the model as it was, where the source says that they did not change.</summary>
    private string? KnownBlob(RemoteFile remote)
    {
        if (remote.Sha256 is { } sha) return _cache.HasBlob(sha, remote.Size) ? sha : null;
        if (remote is { GitSha1: null, Validator: null }) return null;

        var before = _cache.Read(key)?.Files.FirstOrDefault(file => file.Name == remote.Name && file.Identity == remote.Identity);
        return before is not null && _cache.HasBlob(before.Blob, before.Size) ? before.Blob : null;
    }

    private async Task KeepAsync(int index, CachedFile file, string path, CancellationToken cancellationToken)
    {
        await _noting.WaitAsync(cancellationToken);
        try
        {
            _files[index] = file;
            await store.Room.KeepAsync(key, coming with { Files = [.. _files] }, path, file.Blob, cancellationToken);
        }
        finally
        {
            _noting.Release();
        }
    }

    /// <summary>Null where it is what it should be.</summary>
    private static async Task<string?> WrongAsync(RemoteFile remote, PartFile part, string sha256, CancellationToken cancellationToken)
    {
        if (remote.Size is { } size && size != part.Length) return string.Create(CultureInfo.InvariantCulture, $"it has {part.Length} bytes, and its listing says {size}");
        if (remote.Sha256 is { } wanted) return wanted == sha256 ? null : $"its SHA-256 is {sha256}, and should be {wanted}";
        if (remote.GitSha1 is not { } blob) return null;

        var found = await GitSha1Async(part, cancellationToken);
        return found == blob ? null : $"its git blob is {found}, and should be {blob}";
    }

    private static async Task<string> GitSha1Async(PartFile part, CancellationToken cancellationToken)
    {
#pragma warning disable CA5350 // git names what it keeps by SHA-1
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
#pragma warning restore CA5350
        hash.AppendData(System.Text.Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {part.Length}\0")));
        var buffer = new byte[1 << 16];
        for (var at = 0L; at < part.Length;)
        {
            var read = await RandomAccess.ReadAsync(part.Handle, buffer, at, cancellationToken);
            hash.AppendData(buffer, 0, (int)Math.Min(read, part.Length.Value - at));
            at += read;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void Arrived(long bytes)
    {
        var arrived = Interlocked.Add(ref _arrived, bytes);
        if (coming.Bytes > 0) progress.Report(Math.Clamp((double)arrived / coming.Bytes, 0, 1));
    }
}
