using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Catalog.Manifests;
using Serverless.Errors;
using Serverless.Feeds;
using Serverless.Hosting.Redis.Connection;
using Serverless.Loops;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Catalog;

/// <summary>
/// The catalogue that a publisher (<see cref="RedisCatalogPublisher"/>) keeps in Redis, followed live. A published document that cannot be read keeps the last good
/// catalogue and is reported once; so does each model of it that this release refuses and the publisher's did not. Empty until the host has started; the start waits for the first one.
/// </summary>
internal sealed partial class RedisCatalogSource(RedisConnection redis, EngineTable engines, Supervisor supervisor, TimeProvider time, ILogger<RedisCatalogSource> logger) : ICatalogSource, IRedisPart, IAsyncDisposable
{
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromSeconds(10);

    private readonly LatestValue<ModelCatalog> _current = new();
    private readonly ModelCatalog _none = new([]);
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RefreshTimer _refresh = new(RefreshInterval, time);
    private readonly CancellationTokenSource _stopping = new();
    private byte[] _seen = [];
    private string _fault = "nothing is published";
    private ChannelMessageQueue? _subscription;
    private Task _refreshing = Task.CompletedTask;

    public ModelCatalog Current => _current.Value ?? _none;

    public IAsyncEnumerable<ModelCatalog> WatchAsync(CancellationToken cancellationToken) => _current.WatchAsync(cancellationToken);

    /// <exception cref="InvalidOperationException">No catalogue came within <see cref="RedisOptions.StartTimeout"/>.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _subscription = await redis.SubscribeAsync(RedisKeys.Changes(redis.Keys.Catalog), _ => _refresh.Now(), cancellationToken);
        redis.Reconnected += OnReconnected;
        _refreshing = supervisor.RunAsync("catalog-refresh", token => _refresh.RunAsync(RefreshAsync, token), _stopping.Token);
        _refresh.Now();
        try
        {
            if (!_first.Task.IsCompleted) LogWaiting(redis.Keys.Catalog.ToString(), redis.Options.StartTimeout.TotalSeconds);
            await _first.Task.WaitAsync(redis.Options.StartTimeout, time, cancellationToken);
        }
        catch (TimeoutException exception)
        {
            throw new InvalidOperationException(
                $"There is no catalogue at '{redis.Keys.Catalog}' in Redis after {redis.Options.StartTimeout.TotalSeconds:F0} s: {_fault}. Start the process that publishes the manifests, with the same {RedisOptions.Section}:{nameof(RedisOptions.KeyPrefix)}.",
                exception);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested) return; // a container disposes of it once for each port it stands for
        redis.Reconnected -= OnReconnected;
        await _stopping.CancelAsync();
        await _refreshing;
        if (_subscription is not null) await _subscription.UnsubscribeAsync(CommandFlags.FireAndForget);
        _stopping.Dispose();
    }

    private void OnReconnected(object? sender, EventArgs restored) => _refresh.Now();

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        try
        {
            byte[]? bytes = await redis.RunAsync(database => database.StringGetAsync(redis.Keys.Catalog), cancellationToken);
            if (bytes is null || bytes.AsSpan().SequenceEqual(_seen)) return;
            _seen = bytes;
            Take(bytes);
        }
        catch (ServingException exception)
        {
            LogNotRead(exception.Message);
        }
    }

    private void Take(byte[] bytes)
    {
        try
        {
            var reading = JsonSerializer.Deserialize(bytes, CatalogJson.Default.CatalogDocument)?.ToCatalog(engines) ?? throw new JsonException("It is null.");
            var catalog = reading.Catalog ?? WithoutRefused(reading);
            var changed = _current.Value is not null;
            var (before, kept) = (Current, catalog.KeepingFrom(Current));
            if (!changed || !ReferenceEquals(kept, before)) _current.Set(kept);
            _first.TrySetResult();
            if (!changed) LogFirst(catalog.Models.Count);
            else if (CatalogChange.Between(before, kept) is { IsEmpty: false } change) LogChanged(change);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // Whatever the document did to its reader: the catalogue there is stays, and so does the loop.
            _fault = $"what is published cannot be read: {exception.Message}";
            LogUnreadable(Current.Models.Count, exception.Message);
        }
    }

    /// <summary>
    /// Another release published it, one in a roll-out, and found nothing wrong: the models that this one refuses do not stop the others. What it had of them stays, and
    /// with it whatever the document seems to have no longer: it may stand where this release cannot read.
    /// </summary>
    private ModelCatalog WithoutRefused(CatalogReading reading)
    {
        var reasons = string.Join('\n', reading.Errors);
        if (reading.Sound.Models.Count == 0) throw new JsonException(reasons);

        LogRefused(reading.Sound.Models.Count, reasons);
        return new ModelCatalog([.. reading.Sound.Models, .. Current.Models.Where(model => reading.Sound.Find(model.Name) is null)]);
    }

    [LoggerMessage(LogLevel.Information, "waiting for the catalogue at {Key} in Redis, up to {Seconds:0} s")]
    private partial void LogWaiting(string key, double seconds);

    [LoggerMessage(LogLevel.Information, "The catalogue was read; it has {Models} models")]
    private partial void LogFirst(int models);

    [LoggerMessage(LogLevel.Information, "The published catalogue changed. {Change}")]
    private partial void LogChanged(CatalogChange change);

    [LoggerMessage(LogLevel.Warning, "The published catalogue holds what this release refuses; of it stays what is known, and {Models} other models are followed. Finish the roll-out, or mend: {Reasons}")]
    private partial void LogRefused(int models, string reasons);

    [LoggerMessage(LogLevel.Error, "The published catalogue cannot be read, so the last good one with {Models} models stays: {Reason}")]
    private partial void LogUnreadable(int models, string reason);

    [LoggerMessage(LogLevel.Debug, "Could not look for a changed catalogue: {Reason} What is known stays")]
    private partial void LogNotRead(string reason);
}
