namespace Serverless.Events;

/// <summary>Port: events to and from other services. In process; Dapr pub/sub. Inbound ones reach the host's <see cref="IEventHandler"/>s.</summary>
public interface IEventBus
{
    /// <summary>Publishes; returns once the broker has it. At least once.</summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.StoreUnavailable"/>: the broker or its sidecar cannot be reached; where nobody answered, a <see cref="TimeoutException"/> is inside.</exception>
    ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken);
}
