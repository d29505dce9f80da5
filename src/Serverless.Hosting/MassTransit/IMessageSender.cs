namespace Serverless.Hosting.MassTransit;

/// <summary>Port: messages to other services. Thread-safe.</summary>
public interface IMessageSender
{
    /// <summary>Sends to an address, or publishes where that is null; returns once the broker has it. False: nothing hears at that address now, so the broker has dropped it.</summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.StoreUnavailable"/>: the broker cannot be reached, or does not take it.</exception>
    Task<bool> SendAsync<T>(Uri? address, T message, MessageNames names, CancellationToken cancellationToken)
        where T : class;

    /// <summary>To the gateways' own queue of streams.</summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.StoreUnavailable"/>.</exception>
    Task<bool> SendAsync(FollowInference follow, MessageNames names, CancellationToken cancellationToken);

    /// <summary>Whether the bus has its broker now.</summary>
    bool IsConnected { get; }

    /// <summary>Why an address is not sent to, as a sentence; null: it may be.</summary>
    string? WhyNot(Uri address);
}

/// <summary>What stands beside a message that is sent.</summary>
/// <param name="MessageId">Names it: the same thing sent again has the same.</param>
public sealed record MessageNames(Guid MessageId)
{
    /// <summary>What its receiver waits for; null: it is no answer.</summary>
    public Guid? RequestId { get; init; }

    public Guid? CorrelationId { get; init; }

    public Guid? ConversationId { get; init; }

    public string? TraceParent { get; init; }
}
