using System.Threading.Channels;
using RabbitMQ.Client;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>
/// The consumers of one model on one channel of one connection, one for each of its queues. It ends with its channel; answers after that do nothing, for the broker delivers again.
/// </summary>
/// <remarks>
/// What the broker may hand out unanswered is a window, small at first. When a queue's window is full, its consumer gives way to one with a window twice as large, while the process's
/// budget of bytes has room: so a backlog is taken whole where memory allows, and never faster than it is seen how large it is. Without room, each answer makes room for the next delivery:
/// it goes on, if in the order of the queue.
/// </remarks>
internal sealed class RabbitMqSubscription : IAsyncDisposable
{
    private readonly BrokerSession _session;
    private readonly IChannel _channel;
    private readonly OutstandingBytes _budget;
    private readonly ChannelWriter<RabbitMqMessage> _into;
    private readonly List<QueueConsumer> _consumers = [];
    private readonly Channel<QueueConsumer> _full = Channel.CreateBounded<QueueConsumer>(new BoundedChannelOptions(16) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });
    private readonly SemaphoreSlim _switching = new(1, 1);
    private readonly CancellationTokenSource _over = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _widening = Task.CompletedTask;

    private RabbitMqSubscription(BrokerSession session, IChannel channel, OutstandingBytes budget, ChannelWriter<RabbitMqMessage> into)
    {
        (_session, _channel, _budget, _into) = (session, channel, budget, into);
        Over = _over.Token;
        channel.ChannelShutdownAsync += (_, _) => EndAsync();
    }

    /// <summary>Completes when nothing comes any more: the channel closed, or the broker took a queue away.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Not on a connection that is said to be lost, though its channels may close a moment later: what is answered then might arrive, and is expected to come again.</summary>
    public bool IsOpen => !_ended.Task.IsCompleted && !_session.Ended.IsCompleted && _channel.IsOpen;

    /// <summary>Whether it was delivered what is not answered.</summary>
    public bool HasUnanswered => _consumers.Exists(consumer => consumer.HasUnanswered);

    /// <summary>Cancelled with the end.</summary>
    public CancellationToken Over { get; }

    /// <param name="session">On whose connection.</param>
    /// <param name="queues">Which ones.</param>
    /// <param name="budget">Of the process.</param>
    /// <param name="into">Never full: what may be outstanding is bounded here.</param>
    /// <param name="cancellationToken">Stops it half way.</param>
    public static async Task<RabbitMqSubscription> OpenAsync(BrokerSession session, IEnumerable<string> queues, OutstandingBytes budget, ChannelWriter<RabbitMqMessage> into, CancellationToken cancellationToken)
    {
        var subscription = new RabbitMqSubscription(session, await session.OpenChannelAsync(cancellationToken), budget, into);
        try
        {
            foreach (var queue in queues)
            {
                var consumer = new QueueConsumer(subscription, queue);
                subscription._consumers.Add(consumer);
                await session.DeclareAsync(queue, cancellationToken);
                await consumer.BeginAsync(OutstandingBytes.SmallestWindow, cancellationToken);
            }

            subscription._widening = subscription.WidenAsync();
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether the broker still has all our consumers. RabbitMQ 3.10 does not always tell one that its queue was deleted.</summary>
    public async Task<bool> IsConsumedAsync(BrokerSession session, CancellationToken cancellationToken)
    {
        await _switching.WaitAsync(cancellationToken);
        try
        {
            foreach (var consumer in _consumers)
            {
                if (await session.InspectAsync(consumer.Queue, cancellationToken) is not { ConsumerCount: > 0 }) return false;
            }

            return true;
        }
        finally
        {
            _switching.Release();
        }
    }

    /// <summary>Closes the channel: the broker takes back what is unanswered.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            if (_channel.IsOpen) await _channel.CloseAsync(CancellationToken.None);
        }
        catch (Exception exception) when (BrokerFaults.IsOutage(exception))
        {
            // It is closed, then.
        }

        await EndAsync();
        await _widening;
        foreach (var consumer in _consumers) consumer.Leave();
        await _channel.DisposeAsync();
        _over.Dispose();
    }

    private async Task AnswerAsync(Func<IChannel, ValueTask> answer, CancellationToken cancellationToken)
    {
        if (!IsOpen) return;
        try
        {
            await answer(_channel);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            // The message was lost with its channel, and comes again.
        }
    }

    /// <summary>Gives full windows way to larger ones. What fails ends the subscription, and its owner makes another.</summary>
    private async Task WidenAsync()
    {
        try
        {
            await foreach (var consumer in _full.Reader.ReadAllAsync(Over))
            {
                await _switching.WaitAsync(Over);
                try
                {
                    if (consumer.IsFull && _budget.Window(consumer.Window, consumer.MeanBytes) is { } wider) await consumer.WidenAsync(wider, Over);
                }
                finally
                {
                    _switching.Release();
                }
            }
        }
        catch (Exception)
        {
            await EndAsync();
        }
    }

    private Task EndAsync() => _ended.TrySetResult() ? _over.CancelAsync() : Task.CompletedTask;

    /// <summary>One queue's consumer; of its windows only the last one is open, so that the order of the queue is the order of the deliveries.</summary>
    internal sealed class QueueConsumer(RabbitMqSubscription subscription, string queue)
    {
        private Reader? _reader;
        private readonly Lock _lock = new();
        private long _messages;
        private long _bytes;
        private long _outstandingBytes;
        private int _outstanding;
        private bool _left;

        public string Queue => queue;

        /// <summary>How many the broker may hand to the present consumer unanswered.</summary>
        public int Window { get; private set; }

        public bool IsFull => _reader is { } reader && Volatile.Read(ref reader.Outstanding) >= Window;

        public bool HasUnanswered => Volatile.Read(ref _outstanding) > 0;

        /// <summary>Of what came so far.</summary>
        public long MeanBytes
        {
            get
            {
                lock (_lock) return _bytes / Math.Max(1, _messages);
            }
        }

        public async Task BeginAsync(int window, CancellationToken cancellationToken)
        {
            (_reader, Window) = (new Reader(this, subscription._channel), window);
            await subscription._channel.BasicQosAsync(0, (ushort)window, global: false, cancellationToken);
            _reader.Tag = await subscription._channel.BasicConsumeAsync(queue, autoAck: false, _reader, cancellationToken);
        }

        /// <summary>What the one before has handed out stays to be answered.</summary>
        public async Task WidenAsync(int window, CancellationToken cancellationToken)
        {
            var before = _reader!;
            before.IsReplaced = true;
            await subscription._channel.BasicCancelAsync(before.Tag, noWait: false, cancellationToken);
            await BeginAsync(window, cancellationToken);
        }

        /// <summary>All that is unanswered has gone with the channel.</summary>
        public void Leave()
        {
            lock (_lock)
            {
                _left = true;
                subscription._budget.Remove(_outstandingBytes);
            }
        }

        public void Received(Reader reader, RabbitMqMessage message)
        {
            Count(message.Body.Length);
            Interlocked.Increment(ref _outstanding);
            if (Interlocked.Increment(ref reader.Outstanding) >= Window) subscription._full.Writer.TryWrite(this);
            subscription._into.TryWrite(message);
        }

        public void Answered(Reader reader, int bytes)
        {
            Interlocked.Decrement(ref _outstanding);
            Interlocked.Decrement(ref reader.Outstanding);
            Count(-bytes);
        }

        private void Count(int bytes)
        {
            lock (_lock)
            {
                if (_left) return;
                if (bytes > 0) (_messages, _bytes) = (_messages + 1, _bytes + bytes);
                _outstandingBytes += bytes;
                subscription._budget.Add(bytes);
            }
        }

        public Task AnswerAsync(Func<IChannel, ValueTask> answer, CancellationToken cancellationToken) => subscription.AnswerAsync(answer, cancellationToken);

        public bool IsOpen => subscription.IsOpen;

        public CancellationToken Over => subscription.Over;

        public Task EndAsync() => subscription.EndAsync();
    }

    /// <summary>One consumer as the client knows it.</summary>
    internal sealed class Reader(QueueConsumer consumer, IChannel channel) : AsyncDefaultBasicConsumer(channel)
    {
        public int Outstanding;

        public string Tag { get; set; } = "";

        /// <summary>Its end is our doing.</summary>
        public bool IsReplaced { get; set; }

        public override Task HandleBasicDeliverAsync(string consumerTag, ulong deliveryTag, bool redelivered, string exchange, string routingKey, IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken = default)
        {
            // The client owns the body's memory until this returns.
            consumer.Received(this, new RabbitMqMessage(consumer, this, deliveryTag, redelivered, properties, body.ToArray()));
            return Task.CompletedTask;
        }

        /// <summary>The broker took the queue away.</summary>
        public override async Task HandleBasicCancelAsync(string consumerTag, CancellationToken cancellationToken = default)
        {
            await base.HandleBasicCancelAsync(consumerTag, cancellationToken);
            if (!IsReplaced) await consumer.EndAsync();
        }
    }
}

/// <summary>A message as a subscription received it; answered once.</summary>
internal sealed class RabbitMqMessage(RabbitMqSubscription.QueueConsumer consumer, RabbitMqSubscription.Reader reader, ulong tag, bool redelivered, IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body)
{
    private int _answered;

    public string Queue => consumer.Queue;

    public bool Redelivered => redelivered;

    public IReadOnlyBasicProperties Properties => properties;

    public ReadOnlyMemory<byte> Body { get; private set; } = body;

    /// <summary>Whether an answer still has somebody to tell.</summary>
    public bool IsOpen => consumer.IsOpen;

    /// <summary>Cancelled when it goes back by itself.</summary>
    public CancellationToken Over => consumer.Over;

    public ValueTask AcknowledgeAsync(CancellationToken cancellationToken) => AnswerAsync(channel => channel.BasicAckAsync(tag, multiple: false, cancellationToken), cancellationToken);

    public ValueTask ReturnAsync(CancellationToken cancellationToken) => AnswerAsync(channel => channel.BasicNackAsync(tag, multiple: false, requeue: true, cancellationToken), cancellationToken);

    private async ValueTask AnswerAsync(Func<IChannel, ValueTask> answer, CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _answered, 1) != 0) return;

        consumer.Answered(reader, Body.Length);
        Body = default;
        await consumer.AnswerAsync(answer, cancellationToken);
    }
}
