using Serverless.Contracts;
using Serverless.Errors;

namespace Serverless.Hosting.MassTransit;

/// <summary>What a gateway does with messages. May be called with the same message again. Work that outlives the call is on disk before it says that it is done.</summary>
public interface IInferenceMessages
{
    /// <summary>Takes an inference.</summary>
    Task<BrokerVerdict> SubmitAsync(ReceivedMessage<SubmitInference> received, CancellationToken cancellationToken);

    /// <summary>Cancels one.</summary>
    Task<BrokerVerdict> CancelAsync(ReceivedMessage<CancelInference> received, CancellationToken cancellationToken);

    /// <summary>Sends the deltas of one, to its end or until it must be handed on.</summary>
    Task<BrokerVerdict> FollowAsync(ReceivedMessage<FollowInference> received, CancellationToken cancellationToken);
}

/// <summary>Among gateways: send the deltas of this inference. It lies in the broker until they are sent, so a lost gateway's streams go on from another. Fields are only ever added.</summary>
public sealed record FollowInference
{
    /// <summary>Which.</summary>
    public string InferenceId { get; init; } = "";

    /// <summary>Where to; null: they are published.</summary>
    public Uri? Address { get; init; }

    /// <summary>For the deltas.</summary>
    public Guid? CorrelationId { get; init; }

    /// <summary>The last delta that was sent.</summary>
    public long After { get; init; }
}
