using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>A request as its queue delivered it; exactly one of the three answers is given, once.</summary>
public interface IRequestDelivery
{
    /// <summary>The request.</summary>
    InferenceRequest Request { get; }

    /// <summary>Whether it may have been delivered before.</summary>
    bool Redelivered { get; }

    /// <summary>Done with: the request has ended and its end is reported.</summary>
    ValueTask CompleteAsync(CancellationToken cancellationToken);

    /// <summary>Back into the queue: this consumer stops.</summary>
    ValueTask ReturnAsync(CancellationToken cancellationToken);

    /// <summary>To the dead letters, with the reason and how often it was tried, and then done with: safe among them before it leaves the queue.</summary>
    ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken);
}
