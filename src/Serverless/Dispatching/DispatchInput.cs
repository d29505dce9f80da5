using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>What happens to a dispatcher, one thing after another.</summary>
internal abstract record DispatchInput
{
    private DispatchInput()
    {
    }

    public sealed record Delivered(IRequestDelivery Delivery) : DispatchInput;

    public sealed record Opened(ReplicaState Replica) : DispatchInput;

    public sealed record Said(ReplicaState Replica, WorkerMessage Message) : DispatchInput;

    public sealed record Closed(ReplicaState Replica) : DispatchInput;

    public sealed record Ended(RequestId Id) : DispatchInput;

    /// <summary>A call that the loop made came back; it goes on with the answer.</summary>
    public sealed record Answered(Action GoOn) : DispatchInput;

    public sealed record Tick : DispatchInput;

    /// <summary>A source of inputs or a call failed: the dispatcher stops with that fault.</summary>
    public sealed record Faulted(Exception Exception) : DispatchInput;
}
