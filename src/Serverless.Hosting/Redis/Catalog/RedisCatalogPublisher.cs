using System.Text.Json;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Catalog.Manifests;
using Serverless.Errors;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;

namespace Serverless.Hosting.Redis.Catalog;

/// <summary>
/// Publishes the manifests of a folder whenever they change, and again where Redis lost them. Faulty ones are reported and not published: what was good stays. Any number of
/// publishers of the same folder may run.
/// </summary>
internal sealed partial class RedisCatalogPublisher(RedisConnection redis, string folder, EngineTable engines, IModelInspector inspector, Supervisor supervisor, TimeProvider time, ILogger<RedisCatalogPublisher> logger) : BackgroundService, IRedisPart
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Looks that must agree before a model is gone.</summary>
    private const int Losing = 2;

    /// <summary>KEYS catalogue. ARGV document, and whether it may replace another (1) or only what is missing (0).</summary>
    private static readonly RedisScript Publish = new("""
        local there = redis.call('GET', KEYS[1])
        if there == ARGV[1] or (there and ARGV[2] == '0') then return 0 end
        redis.call('SET', KEYS[1], ARGV[1])
        redis.call('PUBLISH', KEYS[1], 'changed')
        return 1
        """);

    private readonly string _folder = Path.GetFullPath(folder);
    private Published? _published;
    private SettledLooks? _looks;
    private string _reported = "";
    private string _fault = "";

    /// <summary>Publishes what the folder holds now.</summary>
    /// <exception cref="InvalidOperationException">It is faulty; the message says in what.</exception>
    async Task IRedisPart.StartAsync(CancellationToken cancellationToken)
    {
        if (!await PublishAsync(cancellationToken)) throw new InvalidOperationException($"The manifests in {_folder} cannot be published:\n{_fault}");
    }

    /// <summary>Publishes what the folder holds now, settled or not. False: it is faulty or Redis cannot be reached.</summary>
    public Task<bool> PublishAsync(CancellationToken cancellationToken) => PublishAsync(Look(), mayLose: true, cancellationToken);

    /// <summary>Looks at the folder once, and publishes what has settled.</summary>
    internal async Task FollowAsync(CancellationToken cancellationToken)
    {
        _looks ??= new SettledLooks(_published?.Look ?? Look(), Losing);
        var settled = _looks.See(Look(), _published?.Look ?? new FolderLook([], [], []));
        foreach (var file in settled.Restless) LogRestless(file);
        if (settled.IsToBeRead || _published?.Look.Agrees(settled.Look) == true) await PublishAsync(settled.Look, settled.MayLose, cancellationToken);
    }

    private FolderLook Look() => FolderLook.At(_folder, _published?.Look.Models ?? []);

    private async Task<bool> PublishAsync(FolderLook look, bool mayLose, CancellationToken cancellationToken)
    {
        try
        {
            if (_published is { } last && last.Look.Agrees(look))
            {
                _reported = "";
                if (!await redis.RunAsync(database => database.KeyExistsAsync(redis.Keys.Catalog), cancellationToken)) await PublishAsync(last.Bytes, look.Files.Count, mayReplace: false, cancellationToken);
                return true;
            }

            var noting = new NotingInspector(inspector);
            var (document, catalog, errors) = look.Errors.Count == 0 ? CatalogDocument.Read(look.Files, engines, noting) : (null, null, look.Errors);
            if (document is null || catalog is null)
            {
                Report(string.Join('\n', errors));
                return false;
            }

            _reported = "";
            if (!mayLose && _published is { } there && catalog.LacksOf(there.Catalog)) return false;

            var bytes = JsonSerializer.SerializeToUtf8Bytes(document, CatalogJson.Default.CatalogDocument);
            await PublishAsync(bytes, look.Files.Count, mayReplace: _published is null || !bytes.AsSpan().SequenceEqual(_published.Bytes), cancellationToken);
            _published = new Published(bytes, look with { Models = noting.Files }, catalog);
            return true;
        }
        catch (ServingException exception)
        {
            _fault = exception.Message;
            LogUnpublished(_folder, exception.Message);
            return false;
        }
    }

    private async Task PublishAsync(byte[] bytes, int files, bool mayReplace, CancellationToken cancellationToken)
    {
        if ((int)await redis.EvaluateAsync(Publish, [redis.Keys.Catalog], [bytes, mayReplace ? 1 : 0], cancellationToken) == 1) LogPublished(files, _folder);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("catalog-publish", PublishAllAsync, stoppingToken);

    private async Task PublishAllAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken)) await FollowAsync(stoppingToken);
    }

    /// <summary>What was published last, and of what.</summary>
    private sealed record Published(byte[] Bytes, FolderLook Look, ModelCatalog Catalog);

    private void Report(string errors)
    {
        _fault = errors;
        if (errors == _reported) return;
        _reported = errors;
        LogFaulty(_folder, errors);
    }

    [LoggerMessage(LogLevel.Information, "Published {Files} manifest files of {Folder}")]
    private partial void LogPublished(int files, string folder);

    [LoggerMessage(LogLevel.Error, "The manifests in {Folder} are faulty and not published; what was published before stays: {Errors}")]
    private partial void LogFaulty(string folder, string errors);

    [LoggerMessage(LogLevel.Information, "{File} changes all the time; it is read when it rests, and the other files are followed meanwhile")]
    private partial void LogRestless(string file);

    [LoggerMessage(LogLevel.Warning, "Could not publish the manifests in {Folder}: {Reason} Tried again in a few seconds")]
    private partial void LogUnpublished(string folder, string reason);
}
