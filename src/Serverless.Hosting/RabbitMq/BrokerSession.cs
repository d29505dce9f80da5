using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;
using Serverless.Catalog;
using Serverless.Hosting.RabbitMq.Queues;

namespace Serverless.Hosting.RabbitMq;

/// <summary>One connection to the broker, from its opening to its loss, and what is known on it: which queues are declared, and the channel that publishes. Thread-safe.</summary>
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
    private readonly SemaphoreSlim _publishGate = new(1, 1);
    private readonly Lock _lock = new();
    private readonly Dictionary<ModelName, Task> _declared = [];
    private readonly CancellationTokenSource _lost = new();
    private readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile IChannel? _publisher;

    /// <param name="connection">Owned from now on.</param>
    /// <param name="options">How queues are declared.</param>
    /// <param name="topology">Their names.</param>
    /// <param name="differs">Told of a queue that is there with other arguments, and what the broker says of it.</param>
    private BrokerSession(IConnection connection, RabbitMqOptions options, Topology topology, Action<string, string> differs)
    {
        (_connection, _options, _topology, _differs) = (connection, options, topology, differs);
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
            SocketFactory = static family => new BufferedTcpClient(family),
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

    /// <summary>Completes with the reason when the connection is gone.</summary>
    public Task<string> Ended => _ended.Task;

    /// <summary>Completes when nobody is given this one any more.</summary>
    public TaskCompletionSource Withdrawn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Returns once the broker has the message in a queue, on disk if it is persistent.</summary>
    /// <exception cref="PublishException">Refused, or returned because there is no such queue.</exception>
    public async Task PublishAsync(string queue, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var channel = _publisher is { IsOpen: true } open ? open : await PublisherAsync(cancellationToken);
        await channel.BasicPublishAsync("", queue, mandatory: true, properties, body, cancellationToken);
    }

    /// <summary>A channel of the caller's own; the caller closes it.</summary>
    public Task<IChannel> OpenChannelAsync(CancellationToken cancellationToken) => _connection.CreateChannelAsync(cancellationToken: cancellationToken);

    /// <summary>Declares a model's queues (and the dead letters') once on this connection.</summary>
    public Task DeclareAsync(ModelName model, CancellationToken cancellationToken)
    {
        if (!_options.Declare) return Task.CompletedTask;

        lock (_lock)
        {
            if (!_declared.TryGetValue(model, out var declared) || declared.IsFaulted || declared.IsCanceled) _declared[model] = declared = DeclareAllAsync([model]);
            return declared.IsCompletedSuccessfully ? Task.CompletedTask : declared.WaitAsync(cancellationToken);
        }
    }

    /// <summary>
    /// Gives the connection up though it is open, because a queue was deleted under us. It is declared again on the next one: RabbitMQ 3.10 loses what is published and delivered
    /// on channels that knew a quorum queue's predecessor of the same name, and does not tell their consumers.
    /// </summary>
    public void Abandon(string reason) => End(reason);

    /// <summary>Declares what is not there; what is there with other arguments is taken as it is, and reported.</summary>
    public async Task DeclareAllAsync(IReadOnlyCollection<ModelName> models)
    {
        foreach (var queue in _topology.Declarations(models, Version, _options.LongestWait))
        {
            var channel = await OpenChannelAsync(Lost);
            try
            {
                await channel.QueueDeclareAsync(queue.Name, durable: true, exclusive: false, autoDelete: false, queue.Arguments.ToDictionary(argument => argument.Key, argument => (object?)argument.Value), cancellationToken: Lost);
                if (queue.Exchange is not { } exchange) continue;

                await channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout, durable: true, autoDelete: false, cancellationToken: Lost);
                await channel.QueueBindAsync(queue.Name, exchange, "", cancellationToken: Lost);
            }
            catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.PreconditionFailed)
            {
                _differs(queue.Name, exception.ShutdownReason.ReplyText);
            }
            finally
            {
                await channel.DisposeAsync();
            }
        }
    }

    /// <summary>Closes it without waiting for a broker that does not answer.</summary>
    public async ValueTask DisposeAsync()
    {
        End("closed by us");
        Withdrawn.TrySetResult();
        await _connection.AbortAsync(TimeSpan.FromSeconds(1));
        await _connection.DisposeAsync();
        _publishGate.Dispose();
        _lost.Dispose();
    }

    private async Task<IChannel> PublisherAsync(CancellationToken cancellationToken)
    {
        await _publishGate.WaitAsync(cancellationToken);
        try
        {
            if (_publisher is { IsOpen: true } open) return open;
            if (_publisher is not null) await _publisher.DisposeAsync();
            return _publisher = await _connection.CreateChannelAsync(Confirming, cancellationToken);
        }
        finally
        {
            _publishGate.Release();
        }
    }

    private Task OnShutdownAsync(object sender, ShutdownEventArgs reason)
    {
        End(reason.ReplyText);
        return Task.CompletedTask;
    }

    private void End(string reason)
    {
        if (_ended.TrySetResult(reason)) _lost.Cancel();
    }
}
