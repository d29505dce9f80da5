using Serverless.Errors;

namespace Serverless.Hosting.MassTransit;

/// <summary>A message that came, and what its sender said beside it.</summary>
/// <typeparam name="T">What it says.</typeparam>
public sealed record ReceivedMessage<T>
    where T : class
{
    public required T Message { get; init; }

    /// <summary>Names the message; null: its sender gave none.</summary>
    public Guid? MessageId { get; init; }

    /// <summary>What its sender waits for; null: nothing.</summary>
    public Guid? RequestId { get; init; }

    public Guid? ConversationId { get; init; }

    /// <summary>Where an answer goes; null: nobody named one.</summary>
    public Uri? ResponseAddress { get; init; }

    /// <summary>Where a failure goes; null: where the answer goes.</summary>
    public Uri? FaultAddress { get; init; }

    /// <summary>Trace context (<c>traceparent</c>), or null.</summary>
    public string? TraceParent { get; init; }

    /// <summary>It was tried for as long as it may be: it does not come again by itself.</summary>
    public bool IsLastTry { get; init; }
}

/// <summary>What becomes of a message.</summary>
/// <param name="Answer">Done with; tried again; or put away with its fault.</param>
/// <param name="Fault">Why it is not done.</param>
public readonly record struct MessageVerdict(BrokerAnswer Answer, ServingFault? Fault = null)
{
    /// <summary>What it asked for is on disk, or was answered.</summary>
    public static MessageVerdict Done { get; } = new(BrokerAnswer.Acknowledge);

    /// <summary>It cannot be taken now.</summary>
    public static MessageVerdict Later(ServingFault fault) => new(BrokerAnswer.Retry, fault);

    /// <summary>It can never be taken.</summary>
    public static MessageVerdict Refused(ServingFault fault) => new(BrokerAnswer.DeadLetter, fault);
}
