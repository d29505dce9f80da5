using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;
using Serverless.Catalog;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>One connection to the broker, from its opening to its loss, and what is known on it: which queues are declared, and the channels that publish and ask. Thread-safe.</summary>
internal sealed class BrokerSession : IAsyncDisposable
{
    private static readonly CreateChannelOptions Confirming = new(
        publisherConfirmationsEnabled: true,
        publisherConfirmationTrackingEnabled: true,
        outstandingPublisherConfirmationsRateLimiter: null); // bounded at enqueue, not here: a limiter would delay what it lets through

    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(5);

    private readonly IConnection _connection;
    private readonly RabbitMqOptions _options;
    private readonly Topology _topology;
    private readonly Action<string, string> _differs;
    private readonly ControlChannel _control;
    private readonly KeptChannel _confirmed;
    private readonly KeptChannel _plain;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Task> _declared = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Task<bool>> _exists = new(StringComparer.Ordinal);
    private readonly HashSet<string> _missing = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _lost = new();
    private readonly TaskCompletionSource<(string Reason, bool IsOurs)> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="connection">Owned from now on.</param>
    /// <param name="options">How queues are declared.</param>
    /// <param name="topology">Their names.</param>
    /// <param name="differs">Told of a queue that is there with other arguments, and what the broker says of it.</param>
    private BrokerSession(IConnection connection, RabbitMqOptions options, Topology topology, Action<string, string> differs)
    {
        (_connection, _options, _topology, _differs) = (connection, options, topology, differs);
        (_control, _confirmed, _plain) = (new ControlChannel(connection), new KeptChannel(connection, Confirming), new KeptChannel(connection, null));
        Version = BrokerVersion.Of(connection.ServerProperties);
        Lost = _lost.Token;
        connection.ConnectionShutdownAsync += OnShutdownAsync;
        if (!connection.IsOpen) End(connection.CloseReason?.ReplyText ?? "closed");
    }

    /// <summary>Connects once; a broker that does not answer is given up after a few seconds.</summary>
    public static async Task<BrokerSession> OpenAsync(RabbitMqOptions options, Topology topology, Action<string, string> differs, CancellationToken cancellationToken)
    {
        var factory = new ConnectionFactory
        {
            Uri = options.Url,
            AutomaticRecoveryEnabled = false,
            TopologyRecoveryEnabled = false,
            RequestedHeartbeat = options.Heartbeat,
            RequestedConnectionTimeout = HandshakeTimeout,
            HandshakeContinuationTimeout = HandshakeTimeout,
            ContinuationTimeout = HandshakeTimeout,
            MaxInboundMessageBodySize = 512 * 1024 * 1024, // RabbitMQ's own limit: a message that is too long for us must reach us, to be dead-lettered
            ClientProvidedName = $"serverless {Environment.MachineName} {Environment.ProcessId}",
        };
        return new BrokerSession(await factory.CreateConnectionAsync(cancellationToken), options, topology, differs);
    }

    public BrokerVersion Version { get; }

    /// <summary>Cancelled when the connection is gone.</summary>
    public CancellationToken Lost { get; }

    /// <summary>Completes with the reason when the connection is gone, and whether it was a mistake of ours.</summary>
    public Task<(string Reason, bool IsOurs)> Ended => _ended.Task;

    /// <summary>Completes when nobody is given this one any more.</summary>
    public TaskCompletionSource Withdrawn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Returns once the broker has the message in a queue, on disk if it is persistent.</summary>
    /// <exception cref="PublishException">Refused, or returned because there is no such queue.</exception>
    public async Task PublishAsync(string queue, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var channel = await _confirmed.GetAsync(cancellationToken);
        await channel.BasicPublishAsync("", queue, mandatory: true, properties, body, cancellationToken);
    }

    /// <summary>Tells whoever listens to a fanout exchange, if anybody does: not confirmed, not kept. Why the broker refused an earlier one, if it did: it says so later, by closing the channel.</summary>
    public async Task<string?> TellAsync(string exchange, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        await DeclareExchangeAsync(exchange, cancellationToken);
        var channel = await _plain.GetAsync(cancellationToken);
        await channel.BasicPublishAsync(exchange, "", mandatory: false, body, cancellationToken);
        var refusal = _plain.TakeRefusal();
        if (refusal is not null) Forget(exchange); // it may be gone
        return refusal;
    }

    /// <summary>A channel of the caller's own; the caller closes it.</summary>
    public Task<IChannel> OpenChannelAsync(CancellationToken cancellationToken) => _connection.CreateChannelAsync(cancellationToken: cancellationToken);

    /// <summary>Declares a queue once on this connection, when it is first wanted: a model that nobody asks for costs the broker nothing.</summary>
    public Task DeclareAsync(string queue, CancellationToken cancellationToken) =>
        _options.Declare ? OnceAsync(queue, () => DeclareAsync(_topology.Declaration(queue, Version, _options.LongestWait)), cancellationToken) : Task.CompletedTask;

    /// <summary>A fanout exchange whose messages nobody misses. Operators who give no right to configure declare it themselves.</summary>
    public Task DeclareExchangeAsync(string exchange, CancellationToken cancellationToken) =>
        _options.Declare ? OnceAsync(exchange, () => AskAsync(channel => channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout, durable: true, autoDelete: false, cancellationToken: Lost), Lost), cancellationToken) : Task.CompletedTask;

    /// <summary>How a queue stands; null: there is none.</summary>
    public async Task<QueueDeclareOk?> InspectAsync(string queue, CancellationToken cancellationToken)
    {
        try
        {
            return await _control.AskAsync(channel => channel.QueueDeclarePassiveAsync(queue, cancellationToken), cancellationToken);
        }
        catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.NotFound)
        {
            return null;
        }
    }

    /// <summary>
    /// Whether there is such a queue, as far as it is known here: asked once on this connection, whoever wants to know, for the answer "no" costs a channel on both sides and a line in
    /// the broker's log.
    /// </summary>
    public Task<bool> ExistsAsync(string queue, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (!_exists.TryGetValue(queue, out var asked) || asked.IsFaulted || asked.IsCanceled) _exists[queue] = asked = AskAsync();
            return asked.IsCompletedSuccessfully ? asked : asked.WaitAsync(cancellationToken);
        }

        async Task<bool> AskAsync()
        {
            var exists = await InspectAsync(queue, Lost) is not null;
            lock (_lock)
            {
                if (!exists) _missing.Add(queue);
            }

            return exists;
        }
    }

    /// <summary>What was asked of this queue or exchange, or declared of it, is asked and declared again: it may have come or gone.</summary>
    public void Forget(string name)
    {
        lock (_lock)
        {
            _exists.Remove(name);
            _missing.Remove(name);
            _declared.Remove(name);
        }
    }

    /// <summary>Whether there was no such queue when that was last asked on this connection.</summary>
    public bool IsMissing(string queue)
    {
        lock (_lock) return _missing.Contains(queue);
    }

    /// <summary>
    /// Gives the connection up though it is open, because a queue was deleted under us. It is declared again on the next one: RabbitMQ 3.10 loses what is published and delivered
    /// on channels that knew a quorum queue's predecessor of the same name, and does not tell their consumers.
    /// </summary>
    public void Abandon(string reason) => End(reason);

    /// <summary>Declares the queues of these models and those that all share, whatever the options say.</summary>
    public async Task DeclareAllAsync(IEnumerable<ModelName> models)
    {
        foreach (var queue in _topology.Declarations(models, Version, _options.LongestWait)) await DeclareAsync(queue);
        await AskAsync(channel => channel.ExchangeDeclareAsync(_topology.Arrivals, ExchangeType.Fanout, durable: true, autoDelete: false, cancellationToken: Lost), Lost);
    }

    /// <summary>Closes it without waiting for a broker that does not answer.</summary>
    public async ValueTask DisposeAsync()
    {
        End("closed by us");
        Withdrawn.TrySetResult();
        await _connection.AbortAsync(TimeSpan.FromSeconds(1));
        await _control.DisposeAsync();
        await _confirmed.DisposeAsync();
        await _plain.DisposeAsync();
        await _connection.DisposeAsync();
        _lost.Dispose();
    }

    /// <summary>What succeeded is not done again on this connection; what failed is.</summary>
    private Task OnceAsync(string name, Func<Task> declare, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (!_declared.TryGetValue(name, out var declared) || declared.IsFaulted || declared.IsCanceled) _declared[name] = declared = declare();
            return declared.IsCompletedSuccessfully ? Task.CompletedTask : declared.WaitAsync(cancellationToken);
        }
    }

    /// <summary>What is there with other arguments is taken as it is, and reported.</summary>
    private async Task DeclareAsync(QueueDeclaration queue)
    {
        try
        {
            await AskAsync(channel => channel.QueueDeclareAsync(queue.Name, durable: true, exclusive: false, autoDelete: false, queue.Arguments.ToDictionary(argument => argument.Key, argument => (object?)argument.Value), cancellationToken: Lost), Lost);
        }
        catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.PreconditionFailed)
        {
            _differs(queue.Name, exception.ShutdownReason.ReplyText);
        }

        lock (_lock)
        {
            _exists[queue.Name] = Task.FromResult(true);
            _missing.Remove(queue.Name);
        }

        if (queue.Exchange is not { } exchange) return;

        await AskAsync(channel => channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout, durable: true, autoDelete: false, cancellationToken: Lost), Lost);
        await AskAsync(channel => channel.QueueBindAsync(queue.Name, exchange, "", cancellationToken: Lost), Lost);
    }

    private Task<bool> AskAsync(Func<IChannel, Task> question, CancellationToken cancellationToken) => _control.AskAsync(
        async channel =>
        {
            await question(channel);
            return true;
        },
        cancellationToken);

    private Task OnShutdownAsync(object sender, ShutdownEventArgs reason)
    {
        End(reason.ReplyText, BrokerFaults.IsOurs(reason));
        return Task.CompletedTask;
    }

    private void End(string reason, bool isOurs = false)
    {
        if (_ended.TrySetResult((reason, isOurs))) _lost.Cancel();
    }

    /// <summary>A channel that is opened when it is first wanted, and again when it was closed. Thread-safe.</summary>
    private sealed class KeptChannel(IConnection connection, CreateChannelOptions? options) : IAsyncDisposable
    {
        private readonly SemaphoreSlim _gate = new(1, 1);
        private volatile IChannel? _channel;
        private string? _refusal;

        /// <summary>Why the broker closed the one before, if it was the broker: said once.</summary>
        public string? TakeRefusal() => Interlocked.Exchange(ref _refusal, null);

        public async ValueTask<IChannel> GetAsync(CancellationToken cancellationToken)
        {
            if (_channel is { IsOpen: true } open) return open;

            await _gate.WaitAsync(cancellationToken);
            try
            {
                if (_channel is { IsOpen: true } opened) return opened;
                if (_channel is { } closed)
                {
                    _refusal = closed.CloseReason is { Initiator: ShutdownInitiator.Peer } reason ? reason.ReplyText : null;
                    await closed.DisposeAsync();
                }

                return _channel = await connection.CreateChannelAsync(options, cancellationToken);
            }
            finally
            {
                _gate.Release();
            }
        }

        public ValueTask DisposeAsync()
        {
            _gate.Dispose();
            return _channel?.DisposeAsync() ?? ValueTask.CompletedTask;
        }
    }
}
