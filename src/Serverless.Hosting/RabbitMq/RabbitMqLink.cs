using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Hosting.RabbitMq.Queues;

namespace Serverless.Hosting.RabbitMq;

/// <summary>
/// Keeps one connection to the broker: opens it, declares the queues of all models it has been asked for, and opens another when it is lost. The client's own recovery is off:
/// what a lost connection had delivered or not confirmed is settled by those who held it, not by a copy of the channel that pretends to go on. Thread-safe.
/// </summary>
internal sealed partial class RabbitMqLink : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly RabbitMqOptions _options;
    private readonly ICatalogSource? _catalog;
    private readonly BrokerChecks _checks;
    private readonly TimeProvider _time;
    private readonly ILogger<RabbitMqLink> _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource<BrokerSession> _current = New();
    private Task? _keeping;

    public RabbitMqLink(IOptions<RabbitMqOptions> options, BrokerChecks checks, TimeProvider time, ILogger<RabbitMqLink> logger, ICatalogSource? catalog = null)
    {
        (_options, _checks, _time, _logger, _catalog) = (options.Value, checks, time, logger, catalog);
        Topology = new Topology(_options.Prefix);
    }

    public Topology Topology { get; }

    /// <summary>Those of the catalogue, if there is one.</summary>
    public IEnumerable<ModelName> Models => _catalog?.Current.Models.Select(model => model.Name) ?? [];

    /// <summary>The connection now, or as soon as there is one.</summary>
    public async Task<BrokerSession> SessionAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task<BrokerSession> current;
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
                _keeping ??= Task.Run(KeepAsync, CancellationToken.None);
                current = _current.Task;
            }

            var session = await current.WaitAsync(cancellationToken);
            if (!session.Ended.IsCompleted) return session;
            await session.Withdrawn.Task.WaitAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task? keeping;
        lock (_lock)
        {
            if (_stop.IsCancellationRequested) return;
            _stop.Cancel();
            _current.TrySetCanceled(CancellationToken.None);
            keeping = _keeping;
        }

        if (keeping is not null) await keeping;
        _stop.Dispose();
    }

    private static TaskCompletionSource<BrokerSession> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task KeepAsync()
    {
        var pause = FirstPause;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var session = await OpenAsync();
                pause = FirstPause;
                Publish(session);
                LogConnected(_options.Url.Host, _options.Url.Port, session.Version);
                var reason = await session.Ended.WaitAsync(_stop.Token);
                Withdraw();
                session.Withdrawn.TrySetResult();
                LogLost(_options.Url.Host, reason);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                Withdraw();
            }
            catch (Exception exception)
            {
                LogUnreachable(_options.Url.Host, _options.Url.Port, exception.GetBaseException().Message, pause);
                await Task.Delay(pause, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    private async Task<BrokerSession> OpenAsync()
    {
        var session = await BrokerSession.OpenAsync(_options, Topology, LogDiffers, _stop.Token);
        try
        {
            if (_options.Declare) await session.DeclareAllAsync([.. _catalog?.Current.Models.Select(model => model.Name) ?? []]);
            await _checks.RunAsync(session.Version, Topology, [.. _catalog?.Current.Models.Select(model => model.Name) ?? []], _stop.Token);
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    private void Publish(BrokerSession session)
    {
        lock (_lock) _current.TrySetResult(session);
    }

    private void Withdraw()
    {
        lock (_lock)
        {
            if (_current.Task.IsCompletedSuccessfully) _current = New();
            if (_stop.IsCancellationRequested) _current.TrySetCanceled(CancellationToken.None);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Connected to RabbitMQ {Version} at {Host}:{Port}; the queues are declared.")]
    private partial void LogConnected(string host, int port, BrokerVersion version);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lost RabbitMQ at {Host} ({Reason}); what it delivered comes again, what needs a promise is refused until it is back.")]
    private partial void LogLost(string host, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "RabbitMQ at {Host}:{Port} cannot be reached ({Reason}); the next try is in {Pause}.")]
    private partial void LogUnreachable(string host, int port, string reason, TimeSpan pause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queue {Queue} is there with other arguments than ours and is used as it is ({Reason}); delete it when it is empty, or set a policy.")]
    private partial void LogDiffers(string queue, string reason);
}
