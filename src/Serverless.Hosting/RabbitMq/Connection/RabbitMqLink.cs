using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Hosting.Telemetry;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>
/// Keeps one connection to the broker, and opens another when it is lost. The client's own recovery is off: what a lost connection had delivered or not confirmed is settled by those who
/// held it, not by a copy of the channel that pretends to go on. Thread-safe.
/// </summary>
internal sealed partial class RabbitMqLink : IDependency, IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RetryUnconfirmed = TimeSpan.FromSeconds(30);

    private readonly RabbitMqOptions _options;
    private readonly ICatalogSource? _catalog;
    private readonly BrokerChecks _checks;
    private readonly TimeProvider _time;
    private readonly ILogger<RabbitMqLink> _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource<BrokerSession> _current = New();
    private volatile QueueStatus _status;
    private long _unconfirmedAt;
    private volatile BrokerSession? _session;
    private Task? _keeping;

    public RabbitMqLink(IOptions<RabbitMqOptions> options, BrokerChecks checks, TimeProvider time, ILogger<RabbitMqLink> logger, ICatalogSource? catalog = null)
    {
        (_options, _checks, _time, _logger, _catalog) = (options.Value, checks, time, logger, catalog);
        _status = new QueueStatus(false, time.GetUtcNow(), "it has not been reached yet");
        Topology = new Topology(_options.Prefix);
    }

    public Topology Topology { get; }

    /// <summary>Those of the catalogue, if there is one.</summary>
    public IReadOnlyCollection<ModelName> Models => [.. _catalog?.Current.Models.Select(model => model.Name) ?? []];

    /// <summary>How it was set up.</summary>
    public RabbitMqOptions Options => _options;

    /// <summary>Whether the broker takes what is published, and since when (not).</summary>
    public QueueStatus Status => _status;

    /// <inheritdoc/>
    public string Name => "rabbitmq";

    /// <inheritdoc/>
    /// <remarks>A connection that is there and did not confirm is trusted again after a while: a gateway that is not ready is given nothing to publish, and would never learn better.</remarks>
    public ValueTask<string?> FindFaultAsync(CancellationToken cancellationToken)
    {
        if (_status is not { IsReachable: false } away) return new((string?)null);
        var isTried = _current.Task.IsCompletedSuccessfully && _time.GetElapsedTime(Interlocked.Read(ref _unconfirmedAt)) >= RetryUnconfirmed;
        return new(isTried ? null : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"cannot be used since {away.Since:u}"));
    }

    /// <summary>Whether this process needs it no longer.</summary>
    public bool IsClosed => _stop.IsCancellationRequested;

    /// <summary>The connection now; null: there is none.</summary>
    public BrokerSession? Current => _session is { Ended.IsCompleted: false } session ? session : null;

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

    /// <summary>The broker has confirmed something.</summary>
    public void Confirmed()
    {
        if (!_status.IsReachable) Reached();
    }

    /// <summary>The connection is there, and the broker does not confirm on it: it hangs, or blocks publishers.</summary>
    public void Unconfirmed()
    {
        Interlocked.Exchange(ref _unconfirmedAt, _time.GetTimestamp());
        lock (_lock)
        {
            if (!_status.IsReachable || !_current.Task.IsCompletedSuccessfully) return;
            _status = new QueueStatus(false, _time.GetUtcNow(), "the broker does not confirm what is published");
        }

        LogUnconfirmed(_options.Url.Host, _options.Url.Port, _options.PublishTimeout.TotalSeconds);
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

    /// <summary>Lives through whatever the client throws.</summary>
    private async Task KeepAsync()
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var session = await BrokerSession.OpenAsync(_options, Topology, LogDiffers, _stop.Token);
                backoff.Reset();
                Publish(session);
                var checking = CheckAsync(session);
                var (reason, isOurs) = await session.Ended.WaitAsync(_stop.Token);
                Withdraw(reason);
                session.Withdrawn.TrySetResult();
                if (isOurs) LogOurs(_options.Url.Host, reason);
                else LogLost(_options.Url.Host, reason);
                await checking;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                Withdraw("this process stops");
            }
            catch (Exception exception)
            {
                Unreachable(exception.GetBaseException().Message, isFirst: backoff.Failures == 0);
                await Task.Delay(backoff.Next(), _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Beside the work, never before it: declares what others publish to unasked, and looks at the broker's settings.</summary>
    private async Task CheckAsync(BrokerSession session)
    {
        try
        {
            foreach (var queue in Topology.Declarations([], session.Version, _options.LongestWait)) await session.DeclareAsync(queue.Name, session.Lost);
            await _checks.RunAsync(session.Version, Topology, Models, session.Lost);
        }
        catch (Exception exception)
        {
            if (!session.Lost.IsCancellationRequested) LogUndeclared(exception.GetBaseException().Message);
        }
    }

    private void Publish(BrokerSession session)
    {
        lock (_lock)
        {
            _session = session;
            _current.TrySetResult(session);
        }

        LogConnected(_options.Url.Host, _options.Url.Port, session.Version);
        Reached();
    }

    private void Withdraw(string reason)
    {
        lock (_lock)
        {
            if (_current.Task.IsCompletedSuccessfully)
            {
                (_current, _session) = (New(), null);
                if (_status.IsReachable) _status = new QueueStatus(false, _time.GetUtcNow(), reason);
            }

            if (_stop.IsCancellationRequested) _current.TrySetCanceled(CancellationToken.None);
        }
    }

    private void Reached()
    {
        QueueStatus before;
        lock (_lock)
        {
            if (_status.IsReachable || !_current.Task.IsCompletedSuccessfully) return;
            (before, _status) = (_status, new QueueStatus(true, _time.GetUtcNow(), ""));
        }

        var seconds = (_time.GetUtcNow() - before.Since).TotalSeconds;
        LogReached(_options.Url.Host, _options.Url.Port, seconds);
    }

    private void Unreachable(string reason, bool isFirst)
    {
        lock (_lock)
        {
            if (!_status.IsReachable) _status = _status with { Reason = reason };
        }

        if (isFirst) LogUnreachable(_options.Url.Host, _options.Url.Port, reason, LongestPause.TotalSeconds);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Connected to RabbitMQ {Version} at {Host}:{Port}.")]
    private partial void LogConnected(string host, int port, BrokerVersion version);

    [LoggerMessage(Level = LogLevel.Information, Message = "The request queue at {Host}:{Port} is to be had, after {Seconds:F1} s without it.")]
    private partial void LogReached(string host, int port, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lost RabbitMQ at {Host} ({Reason}); what it delivered comes again, what needs a promise is refused until it is back.")]
    private partial void LogLost(string host, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "RabbitMQ at {Host} closed the connection for a mistake of ours ({Reason}); please report it. What it delivered comes again.")]
    private partial void LogOurs(string host, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "RabbitMQ at {Host}:{Port} does not confirm what is published within {Seconds:0.#} s; requests are refused until it does.")]
    private partial void LogUnconfirmed(string host, int port, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "RabbitMQ at {Host}:{Port} cannot be reached ({Reason}); tried again every {Seconds} s at most, without a further line.")]
    private partial void LogUnreachable(string host, int port, string reason, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queue {Queue} is there with other arguments than ours and is used as it is ({Reason}); delete it when it is empty, or set a policy.")]
    private partial void LogDiffers(string queue, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queues of dead letters could not be declared ({Reason}); that is done again when one is to be laid there.")]
    private partial void LogUndeclared(string reason);
}
