using System.Threading.Channels;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>Two consumers of one model on one channel of one connection: ordinary ones, that take all there is. It ends with its channel; answers after that do nothing, for the broker delivers again.</summary>
internal sealed class RabbitMqSubscription : IAsyncDisposable
{
    private readonly IChannel _channel;
    private readonly CancellationTokenSource _over = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private RabbitMqSubscription(IChannel channel)
    {
        _channel = channel;
        Over = _over.Token;
        channel.ChannelShutdownAsync += (_, _) => EndAsync();
    }

    /// <summary>Completes when nothing comes any more: the channel closed, or the broker took a queue away.</summary>
    public Task Ended => _ended.Task;

    public bool IsOpen => !_ended.Task.IsCompleted && _channel.IsOpen;

    /// <summary>Cancelled with the end.</summary>
    public CancellationToken Over { get; }

    public static async Task<RabbitMqSubscription> OpenAsync(BrokerSession session, IEnumerable<string> queues, ChannelWriter<RabbitMqMessage> into, CancellationToken cancellationToken)
    {
        var subscription = new RabbitMqSubscription(await session.OpenChannelAsync(cancellationToken));
        try
        {
            foreach (var queue in queues) await subscription.ConsumeAsync(queue, into, cancellationToken);
            return subscription;
        }
        catch
        {
            await subscription.DisposeAsync();
            throw;
        }
    }

    public async ValueTask AcknowledgeAsync(ulong tag, CancellationToken cancellationToken)
    {
        if (!IsOpen) return;
        try
        {
            await _channel.BasicAckAsync(tag, multiple: false, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            // The message was lost with its channel, and comes again.
        }
    }

    public async ValueTask ReturnAsync(ulong tag, CancellationToken cancellationToken)
    {
        if (!IsOpen) return;
        try
        {
            await _channel.BasicNackAsync(tag, multiple: false, requeue: true, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            // It returns with its channel.
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
        await _channel.DisposeAsync();
        _over.Dispose();
    }

    private async Task ConsumeAsync(string queue, ChannelWriter<RabbitMqMessage> into, CancellationToken cancellationToken)
    {
        var consumer = new AsyncEventingBasicConsumer(_channel);
        consumer.UnregisteredAsync += (_, _) => EndAsync();
        consumer.ReceivedAsync += async (_, delivered) =>
        {
            // The client owns the body's memory until this returns.
            var message = new RabbitMqMessage(this, queue, delivered.DeliveryTag, delivered.Redelivered, delivered.BasicProperties, delivered.Body.ToArray());
            try
            {
                await into.WriteAsync(message, Over);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ChannelClosedException)
            {
                // Nobody reads any more; it returns with the channel.
            }
        };
        await _channel.BasicConsumeAsync(queue, autoAck: false, consumer, cancellationToken);
    }

    private Task EndAsync() => _ended.TrySetResult() ? _over.CancelAsync() : Task.CompletedTask;
}
