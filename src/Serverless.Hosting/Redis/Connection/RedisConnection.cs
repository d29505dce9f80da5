using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Hosting.Telemetry;
using StackExchange.Redis;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>
/// The one connection of this process to Redis, shared by all that is kept there. Every call ends within <see cref="RedisOptions.CommandTimeout"/> and about a second; one
/// that Redis does not answer or refuses, for whatever reason, throws <see cref="ServingError.StoreUnavailable"/> (<see cref="RedisFaults"/>). Thread-safe.
/// </summary>
internal sealed partial class RedisConnection(IOptions<RedisOptions> options, TimeProvider time, ILogger<RedisConnection> logger) : IDependency, IAsyncDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(500);

    /// <summary>How often the same refusal is logged.</summary>
    private static readonly TimeSpan Repetition = TimeSpan.FromMinutes(1);

    /// <summary>KEYS a key of nobody. Writes, for what only reads is no use: a demoted or full Redis answers reads.</summary>
    private static readonly RedisScript Probe = new("redis.call('SET', KEYS[1], '1', 'PX', 60000) return 1");

    // By a script: the client takes the plain command for an administrator's.
    private const string Info = "return redis.call('INFO')";

    private readonly SemaphoreSlim _opening = new(1, 1);
    private ConnectionMultiplexer? _multiplexer;
    private readonly ConcurrentDictionary<string, long> _told = new(StringComparer.Ordinal);
    private Task _checking = Task.CompletedTask;

    public RedisKeys Keys { get; } = new(options.Value.KeyPrefix);

    /// <inheritdoc/>
    public string Name => "redis";

    public RedisOptions Options { get; } = options.Value;

    /// <summary>The server's run (16 characters) when it was last connected to. It may be over: what must not be mistaken asks the server, in the script that depends on it.</summary>
    public string Run { get; private set; } = "";

    /// <summary>Raised on some thread when a connection is there again: whatever was subscribed to may have missed messages.</summary>
    public event EventHandler? Reconnected;

    private ConnectionMultiplexer Multiplexer =>
        _multiplexer ?? throw new InvalidOperationException("Redis is used before it is connected: start the host, or await OpenAsync.");

    private IDatabase Database => Multiplexer.GetDatabase();

    /// <summary>Connects, and checks that the server keeps what we give it. Waits for it up to <see cref="RedisOptions.StartTimeout"/>.</summary>
    /// <exception cref="InvalidOperationException">It cannot be reached, or its settings would lose requests; the message says which and the fix.</exception>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await _opening.WaitAsync(cancellationToken);
        try
        {
            if (_multiplexer is not null) return;
            var multiplexer = await ConnectionMultiplexer.ConnectAsync(Configure()).WaitAsync(cancellationToken);
            try
            {
                await CheckAsync(multiplexer, cancellationToken);
            }
            catch
            {
                await multiplexer.DisposeAsync();
                throw;
            }

            multiplexer.ConnectionFailed += (_, failure) => LogLost($"{failure.EndPoint}", failure.ConnectionType, failure.FailureType);
            multiplexer.ConnectionRestored += (_, restored) => OnRestored($"{restored.EndPoint}", restored.ConnectionType);
            _multiplexer = multiplexer;
        }
        finally
        {
            _opening.Release();
        }
    }

    /// <summary>Runs a script, loading it first where the server does not know it.</summary>
    public async ValueTask<RedisResult> EvaluateAsync(RedisScript script, RedisKey[] keys, RedisValue[] values, CancellationToken cancellationToken)
    {
        try
        {
            try
            {
                return await BoundedAsync(Database.ScriptEvaluateAsync(script.Hash, keys, values), cancellationToken);
            }
            catch (RedisServerException exception) when (exception.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
            {
                await BoundedAsync(Database.ExecuteAsync("SCRIPT", "LOAD", script.Text), cancellationToken);
                return await BoundedAsync(Database.ScriptEvaluateAsync(script.Hash, keys, values), cancellationToken);
            }
        }
        catch (Exception exception) when (RedisFaults.IsUnavailable(exception))
        {
            throw Refused(exception);
        }
    }

    /// <summary>Runs plain commands.</summary>
    public async ValueTask<T> RunAsync<T>(Func<IDatabase, Task<T>> command, CancellationToken cancellationToken)
    {
        try
        {
            return await BoundedAsync(command(Database), cancellationToken);
        }
        catch (Exception exception) when (RedisFaults.IsUnavailable(exception))
        {
            throw Refused(exception);
        }
    }

    /// <summary>Hands over the messages of a channel, in order and one at a time, until unsubscribed.</summary>
    public async ValueTask<ChannelMessageQueue> SubscribeAsync(RedisChannel channel, Action<RedisValue> receive, CancellationToken cancellationToken)
    {
        try
        {
            var queue = await BoundedAsync(Multiplexer.GetSubscriber().SubscribeAsync(channel), cancellationToken);
            queue.OnMessage(message => receive(message.Message));
            return queue;
        }
        catch (Exception exception) when (RedisFaults.IsUnavailable(exception))
        {
            throw Refused(exception);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<string?> FindFaultAsync(CancellationToken cancellationToken)
    {
        try
        {
            await EvaluateAsync(Probe, [Keys.Probe], [], cancellationToken);
            return null;
        }
        catch (ServingException exception)
        {
            return RedisFaults.Code(exception.InnerException!);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _checking;
        if (_multiplexer is not null) await _multiplexer.DisposeAsync();
        _opening.Dispose();
    }

    private static Task<T> BoundedAsync<T>(Task<T> task, CancellationToken cancellationToken) =>
        cancellationToken.CanBeCanceled && !task.IsCompleted ? task.WaitAsync(cancellationToken) : task;

    /// <summary>Each kind of refusal is told now and then; what is away without an answer is told by its connection.</summary>
    private ServingException Refused(Exception exception)
    {
        var (code, now) = (RedisFaults.Code(exception), time.GetTimestamp());
        if (exception is RedisServerException && (!_told.TryGetValue(code, out var at) || time.GetElapsedTime(at, now) >= Repetition))
        {
            _told[code] = now;
            if (RedisFaults.IsOurs(exception)) LogOurs(Where(), exception.Message);
            else LogRefused(Where(), exception.Message);
        }

        return RedisFaults.Unavailable(exception);
    }

    private ConfigurationOptions Configure()
    {
        var configuration = ConfigurationOptions.Parse(Options.Configuration);
        configuration.AbortOnConnectFail = false;
        configuration.AsyncTimeout = configuration.SyncTimeout = (int)Options.CommandTimeout.TotalMilliseconds;
        configuration.ConnectTimeout = (int)Math.Max(1000, Options.CommandTimeout.TotalMilliseconds);
        configuration.HeartbeatInterval = TimeSpan.FromSeconds(1);
        configuration.ReconnectRetryPolicy = new LinearRetry(500);
        configuration.KeepAlive = 5;
        configuration.ClientName = "serverless";
        return configuration;
    }

    private async Task CheckAsync(ConnectionMultiplexer multiplexer, CancellationToken cancellationToken)
    {
        var since = time.GetTimestamp();
        var told = false;
        while (true)
        {
            try
            {
                var info = await BoundedAsync(multiplexer.GetDatabase().ScriptEvaluateAsync(Info), cancellationToken);
                if (RedisServerCheck.Find(info) is { } fault) throw new InvalidOperationException($"Redis at {Where()} {fault}");
                Run = RedisServerCheck.Run(info);
                return;
            }
            catch (Exception exception) when (RedisFaults.IsUnavailable(exception))
            {
                if (time.GetElapsedTime(since) > Options.StartTimeout)
                    throw new InvalidOperationException($"Redis at {Where()} did not answer, or not well, within {Options.StartTimeout.TotalSeconds:F0} s ({RedisFaults.Code(exception)}). Start it, or correct {RedisOptions.Section}:{nameof(RedisOptions.Configuration)}.", exception);
                if (!told) LogWaiting(Where(), Options.StartTimeout.TotalSeconds, RedisFaults.Code(exception));
                told = true;
            }

            await Task.Delay(Pace, time, cancellationToken);
        }
    }

    // The password stays out of messages.
    private string Where() => string.Join(", ", ConfigurationOptions.Parse(Options.Configuration).EndPoints);

    private void OnRestored(string endpoint, ConnectionType connection)
    {
        LogRestored(endpoint, connection);
        if (connection == ConnectionType.Interactive) _checking = CheckAgainAsync(endpoint);
        Reconnected?.Invoke(this, EventArgs.Empty);
    }

    // A failover may lead to a server with other settings; what runs goes on, but someone must know.
    private async Task CheckAgainAsync(string endpoint)
    {
        try
        {
            var info = await Database.ScriptEvaluateAsync(Info);
            Run = RedisServerCheck.Run(info);
            if (RedisServerCheck.Find(info) is { } fault) LogUnfit(endpoint, fault);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            LogUnchecked(endpoint, exception.Message);
        }
    }

    [LoggerMessage(LogLevel.Information, "waiting for Redis at {Endpoint}, up to {Seconds:0} s ({Reason})")]
    private partial void LogWaiting(string endpoint, double seconds, string reason);

    [LoggerMessage(LogLevel.Warning, "Redis at {Endpoint} refuses: {Reason} It is asked again; said once a minute")]
    private partial void LogRefused(string endpoint, string reason);

    [LoggerMessage(LogLevel.Error, "Redis at {Endpoint} refuses what no Redis would take, a fault of ours or of whoever else writes under our key prefix: {Reason} It is asked again; said once a minute")]
    private partial void LogOurs(string endpoint, string reason);

    [LoggerMessage(LogLevel.Warning, "Lost the {Connection} connection to Redis at {Endpoint} ({Failure}); calls fail as unavailable until it is back")]
    private partial void LogLost(string endpoint, ConnectionType connection, ConnectionFailureType failure);

    [LoggerMessage(LogLevel.Information, "The {Connection} connection to Redis at {Endpoint} is back")]
    private partial void LogRestored(string endpoint, ConnectionType connection);

    [LoggerMessage(LogLevel.Error, "Redis at {Endpoint}, reached after a reconnection, {Fault} Requests can be lost until that is done")]
    private partial void LogUnfit(string endpoint, string fault);

    [LoggerMessage(LogLevel.Debug, "Could not check the settings of Redis at {Endpoint}: {Reason}; they are checked with the next reconnection")]
    private partial void LogUnchecked(string endpoint, string reason);
}
