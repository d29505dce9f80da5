using RabbitMQ.Client;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>A message as a subscription received it.</summary>
internal sealed record RabbitMqMessage(RabbitMqSubscription Subscription, string Queue, ulong Tag, bool Redelivered, IReadOnlyBasicProperties Properties, ReadOnlyMemory<byte> Body)
{
    public ValueTask AcknowledgeAsync(CancellationToken cancellationToken) => Subscription.AcknowledgeAsync(Tag, cancellationToken);

    public ValueTask ReturnAsync(CancellationToken cancellationToken) => Subscription.ReturnAsync(Tag, cancellationToken);
}
