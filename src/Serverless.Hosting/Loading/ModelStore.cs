using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>
/// Brings models into the cache of this machine. Whoever asks for one while it is pulled waits for that pull: those of this process share it, other processes wait for the lock of its key, so that each
/// file comes once. What is in the cache is taken as it is; a hub is asked what it has now where somebody says so (<see cref="PullAsync"/>). Thread-safe.
/// </summary>
internal sealed partial class ModelStore : IModelStore, IDisposable
{
    private readonly SharedPulls _pulls = new();
    private readonly HubHttp _http;
    private readonly Hubs _hubs;
    private readonly ILogger<ModelStore> _logger;

    public ModelStore(ModelOptions options, TimeProvider time, ILogger<ModelStore> logger, Func<string, long>? freeBytes = null)
    {
        Cache = new ModelCache(options, time);
        Room = new CacheRoom(Cache, freeBytes);
        (_http, _logger) = (new HubHttp(options, time), logger);
        _hubs = new Hubs(options, _http);
    }

    public ModelCache Cache { get; }

    public CacheRoom Room { get; }

    public async Task<HeldModel> HoldAsync(ModelSource source, IProgress<double> progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (source.Scheme == ModelSource.FileScheme) return new HeldModel(source.Location);

        for (var tries = 0; tries < 3; tries++)
        {
            if (Hold(source) is { } here) return here;
            await SharedAsync(source, anew: false, progress, cancellationToken);
        }

        throw new ModelPullException($"{source.Shown} was taken out of the model cache '{Cache.Folder}' as soon as it was in it; it is too small for what is used at once ({ModelOptions.Section}:{nameof(ModelOptions.MaxBytes)}).");
    }

    /// <summary>Asks the source what it has now, and brings what is not here.</summary>
    /// <exception cref="ModelPullException">It cannot be had; what was here before still is.</exception>
    public Task PullAsync(ModelSource source, IProgress<double> progress, CancellationToken cancellationToken) => SharedAsync(source, anew: true, progress, cancellationToken);

    public void Dispose()
    {
        _hubs.Dispose();
        _http.Dispose();
    }

    private HeldModel? Hold(ModelSource source)
    {
        try
        {
            return Cache.TryHold(source);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Cache.FaultOf(exception);
        }
    }

    private Task SharedAsync(ModelSource source, bool anew, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var key = ModelRecord.KeyOf(source);
        return _pulls.RunAsync(anew ? key + " anew" : key, async (told, pulling) =>
        {
            try
            {
                await BringAsync(key, source, anew, told, pulling);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw Cache.FaultOf(exception);
            }
        }, progress, cancellationToken);
    }

    private async Task BringAsync(string key, ModelSource source, bool anew, IProgress<double> progress, CancellationToken cancellationToken)
    {
        Cache.Prepare();
        await using var turn = await TurnAsync(key, progress, cancellationToken);
        if (!anew && Cache.Find(source) is not null) return;

        var started = Cache.Time.GetTimestamp();
        var listing = await _hubs.ListAsync(source, cancellationToken);
        var coming = Record(source, listing);
        await Room.ReserveAsync(key, coming, cancellationToken);
        var (text, all) = (source.Shown, coming.Bytes);
        PullBegins(text, listing.Files.Count, all, Cache.Folder);

        using var pull = new ModelPull(this, _http, key, coming, listing, progress);
        var whole = await pull.RunAsync(cancellationToken);
        var snapshot = $"{key}-{ModelRecord.Hash(string.Join('\n', whole.Files.Select(file => $"{file.Name} {file.Blob}")))[..8]}";
        await Room.PublishAsync(key, whole with { Snapshot = snapshot, PulledAt = Cache.Time.GetUtcNow() }, cancellationToken);
        var (bytes, took) = (whole.Bytes, Cache.Time.GetElapsedTime(started));
        PullEnds(text, bytes, took.TotalSeconds);
    }

    /// <summary>While another process pulls it, its progress is what is told.</summary>
    private async Task<FileStream> TurnAsync(string key, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var path = Cache.LockPath("model-" + key);
        if (CacheLock.TryTake(path) is { } free) return free;

        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = WatchAsync(key, progress, waiting.Token);
        try
        {
            return await CacheLock.TakeAsync(path, Cache.Time, cancellationToken);
        }
        finally
        {
            await waiting.CancelAsync();
            await watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task WatchAsync(string key, IProgress<double> progress, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), Cache.Time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            if (Cache.Read(CacheRoom.Coming(key)) is { Bytes: > 0 } coming) progress.Report(Math.Clamp((double)coming.Files.Sum(Here) / coming.Bytes, 0, 1));
        }
    }

    private long Here(CachedFile file)
    {
        if (Cache.HasBlob(file.Blob, file.Size)) return file.Size;
        using var part = PartFile.Open(Cache.PartPath(file.Identity));
        return part?.Count ?? 0;
    }

    private static ModelRecord Record(ModelSource source, Listing listing) => new()
    {
        Version = ModelRecord.CurrentVersion,
        Source = source.Shown,
        Revision = listing.Revision,
        Snapshot = ModelRecord.KeyOf(source) + "-coming",
        Files = [.. listing.Files.Select(file => new CachedFile(file.Name, file.Size ?? 0, file.Sha256 ?? "part-" + ModelRecord.Hash(file.Identity)[..40], file.Identity))],
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source} is pulled: {Files} files, {Bytes} bytes, into {Folder}")]
    private partial void PullBegins(string source, int files, long bytes, string folder);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Source} is here: {Bytes} bytes after {Seconds:0.0} s")]
    private partial void PullEnds(string source, long bytes, double seconds);
}
