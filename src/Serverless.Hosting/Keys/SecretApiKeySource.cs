using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Loops;
using Serverless.Tenancy;

namespace Serverless.Hosting.Keys;

/// <summary>
/// API keys from a secret, read before the host serves and again every so often. A secret store that is away, or a faulty secret, changes nothing and is said in the log: keys are
/// what the synchronous path must not lose with the sidecar. No fault of the store ends the reading, or a revoked key would live as long as the process. Thread-safe.
/// </summary>
/// <param name="read">The secret's entries by name, each one line of keys or several.</param>
/// <param name="options">Which secret, and how often.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">For what goes wrong.</param>
internal sealed partial class SecretApiKeySource(
    Func<string, CancellationToken, Task<IReadOnlyDictionary<string, string>>> read, IOptions<ApiKeyOptions> options, TimeProvider time, ILogger<SecretApiKeySource> logger)
    : BackgroundService, IApiKeySource, IHostedLifecycleService
{
    private static readonly TimeSpan StartPause = TimeSpan.FromMilliseconds(500);

    private readonly string _secret = options.Value.Secret ?? throw new InvalidOperationException($"{ApiKeyOptions.Section}:{nameof(ApiKeyOptions.Secret)} names no secret.");
    private volatile ApiKeyTable _table = ApiKeyTable.Parse("");

    /// <inheritdoc/>
    public ApiKeyTable? Current => _table;

    /// <summary>Nothing is served before the keys are known: a request would be refused for good that is to be served.</summary>
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(options.Value.StartTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (!await TryReadAsync(either.Token)) await Task.Delay(StartPause, time, either.Token);
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested)
        {
            throw new InvalidOperationException($"The API keys could not be read from the secret '{_secret}' within {options.Value.StartTimeout.TotalSeconds:F0} s. Is the sidecar up, and is the secret in its store's scope?", exception);
        }
    }

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.Refresh, time.Aligned());
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken)) await TryReadAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task<bool> TryReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            var entries = await read(_secret, cancellationToken);
            var table = ApiKeyTable.Parse(string.Join('\n', entries.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => entry.Value)));
            if (table.Count != _table.Count) LogRead(table.Count, _secret);
            _table = table;
            return true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            LogNotRead(_secret, _table.Count, exception.Message);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Information, "Read {Count} API keys of the secret {Secret}.")]
    private partial void LogRead(int count, string secret);

    [LoggerMessage(LogLevel.Warning, "API keys of the secret {Secret} could not be read, so the {Count} before stay: {Reason}")]
    private partial void LogNotRead(string secret, int count, string reason);
}
