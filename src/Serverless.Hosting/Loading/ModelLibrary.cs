using System.Security.Cryptography;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>The model cache of this machine, for a command that has no host: set up by the environment as a host's is.</summary>
public sealed class ModelLibrary : IDisposable
{
    private readonly ServiceProvider _services;
    private readonly ModelStore _store;

    private ModelLibrary(ServiceProvider services) => (_services, _store) = (services, services.GetRequiredService<ModelStore>());

    /// <summary>Its folder.</summary>
    public string Folder => _store.Cache.Folder;

    /// <summary>All models of it, by their sources.</summary>
    public IReadOnlyList<LibraryModel> Models =>
    [
        .. _store.Cache.List().Select(entry => new LibraryModel(
            entry.Key, entry.Record.Source, entry.Record.Revision, entry.Record.Files.Count, entry.Record.Bytes, entry.Record.IsWhole, entry.Record.IsWhole ? entry.Record.PulledAt : null, entry.UsedAt)),
    ];

    /// <summary>Opens it, in that folder or the one that the environment names.</summary>
    public static ModelLibrary Open(string? folder)
    {
        var settings = new ConfigurationBuilder().AddJsonFile(Path.GetFullPath("appsettings.json"), optional: true).AddEnvironmentVariables().AddInMemoryCollection(folder is null ? [] : [new($"{ModelOptions.Section}:{nameof(ModelOptions.Directory)}", folder)]).Build();
        return new ModelLibrary(new ServiceCollection().AddSingleton<IConfiguration>(settings).AddModelStore().BuildServiceProvider());
    }

    /// <summary>Asks the source what it has now, and brings what is not here; the path of the model's file or folder.</summary>
    /// <exception cref="ModelPullException">It cannot be had.</exception>
    public async Task<string> PullAsync(ModelSource source, bool anew, IProgress<double> progress, CancellationToken cancellationToken)
    {
        if (anew) await _store.PullAsync(source, progress, cancellationToken);
        using var held = await _store.HoldAsync(source, progress, cancellationToken);
        return held.Path;
    }

    /// <summary>The entries that a source or a key names.</summary>
    public IReadOnlyList<LibraryModel> Find(string named) => [.. Models.Where(model => model.Key == named || model.Key.Split('.')[0] == named || model.Source == named || (ModelUri.Parse(named, out _) is { } source && (ModelRecord.KeyOf(source) == model.Key.Split('.')[0] || source.Text == model.Source)))];

    /// <summary>Takes it away; false where a process holds or pulls it.</summary>
    public async Task<bool> RemoveAsync(LibraryModel model, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(model);
        try
        {
            return await _store.Room.RemoveAsync(model.Key, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw _store.Cache.FaultOf(exception);
        }
    }

    /// <summary>Reads every byte of it again: the files that are not what they were. They are taken out, so that the next load pulls them anew; who has them in use keeps them where they are.</summary>
    /// <exception cref="ModelPullException">They cannot be taken out.</exception>
    public async Task<IReadOnlyList<DamagedFile>> VerifyAsync(LibraryModel model, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(model);
        var damaged = new List<DamagedFile>();
        try
        {
            foreach (var file in _store.Cache.Read(model.Key) is { IsWhole: true } record ? record.Files : [])
            {
                var path = _store.Cache.BlobPath(file.Blob);
                var writtenAt = File.GetLastWriteTimeUtc(path);
                if (File.Exists(path))
                {
                    await using var bytes = File.OpenRead(path);
                    if (bytes.Length == file.Size && Convert.ToHexStringLower(await SHA256.HashDataAsync(bytes, cancellationToken)) == file.Blob) continue;
                }

                damaged.Add(new DamagedFile(file.Name, await _store.Room.TakeOutAsync(file.Blob, writtenAt, cancellationToken)));
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw _store.Cache.FaultOf(exception);
        }

        return damaged;
    }

    /// <inheritdoc/>
    public void Dispose() => _services.Dispose();
}

/// <summary>A file of the cache that is not what it was.</summary>
/// <param name="Name">Its path in the model.</param>
/// <param name="IsHeld">Whether a process has it in use.</param>
public sealed record DamagedFile(string Name, bool IsHeld);

/// <summary>A model of the cache.</summary>
/// <param name="Key">A short name of it.</param>
/// <param name="Source">Where it came from.</param>
/// <param name="Revision">The commit or alike that this was.</param>
/// <param name="Files">How many.</param>
/// <param name="Bytes">How large together.</param>
/// <param name="IsWhole">False while it is pulled, or where a pull broke off: the next one goes on.</param>
/// <param name="PulledAt">When it was whole; null: it is not.</param>
/// <param name="UsedAt">When it was used last.</param>
public sealed record LibraryModel(string Key, string Source, string? Revision, int Files, long Bytes, bool IsWhole, DateTimeOffset? PulledAt, DateTimeOffset UsedAt);
