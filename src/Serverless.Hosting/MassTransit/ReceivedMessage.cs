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
