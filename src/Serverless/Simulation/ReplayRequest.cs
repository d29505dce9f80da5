using Serverless.Dispatching;
using Serverless.Requests;

namespace Serverless.Simulation;

/// <summary>A request of the trace on its way; also the delivery that the dispatcher's own types ask for.</summary>
internal sealed class ReplayRequest(InferenceRequest request, TraceRequest traced) : IRequestDelivery
{
    public TraceRequest Traced => traced;

    public TrackedRequest? Tracked { get; set; }

    public InferenceRequest Request => request;

    public bool Redelivered => false;

    /// <summary>Seconds at which its first token came; NaN until then.</summary>
    public double FirstTokenAt { get; set; } = double.NaN;

    public ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask ReturnAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask DeadLetterAsync(Errors.ServingFault reason, int attempts, CancellationToken cancellationToken) => ValueTask.CompletedTask;
}
