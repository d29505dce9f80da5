using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>What happens to a dispatcher, one thing after another.</summary>
internal abstract record DispatchInput
{
    private DispatchInput()
    {
    }

    /// <summary>The queue may hold something.</summary>
    public sealed record Arrived : DispatchInput;

    /// <summary>The catalogue has the model no longer, or again.</summary>
    public sealed record Retired(bool IsRetired) : DispatchInput;

    public sealed record Delivered(IRequestDelivery Delivery) : DispatchInput;

    public sealed record Opened(ReplicaState Replica) : DispatchInput;

    public sealed record Said(ReplicaState Replica, WorkerMessage Message) : DispatchInput;

    public sealed record Closed(ReplicaState Replica) : DispatchInput;

    /// <summary>A request ended without its worker.</summary>
    public sealed record Ended(RequestId Id) : DispatchInput;

    public sealed record Tick : DispatchInput;

    /// <summary>The dispatcher's own fault: it stops with it.</summary>
    public sealed record Faulted(Exception Exception) : DispatchInput;

    /// <summary>
    /// What a store answers to a call of the loop (<see cref="LoopCalls"/>); each kind has a result that is null where it did not answer, or with an error. The loop goes on by the
    /// input's name: no closure says what comes next (ADR 8).
    /// </summary>
    public abstract record Answer : DispatchInput
    {
        /// <summary>Whether the store could not be reached.</summary>
        public bool IsStoreAway { get; init; }
    }

    /// <summary>To <see cref="Intake"/>: what the log knows of a delivered request.</summary>
    public sealed record Looked(TrackedRequest Request, LookUp? Result) : Answer;

    /// <summary>To <see cref="AttemptTracker"/>: an attempt was begun, or not.</summary>
    public sealed record Begun(TrackedRequest Request, Guid Nonce, BeginResult? Result) : Answer;

    /// <summary>To <see cref="AttemptTracker"/>: an attempt that a worker runs was asserted, or not.</summary>
    public sealed record Adopted(TrackedRequest Request, ReplicaState Replica, Guid Nonce, AdoptResult? Result) : Answer;

    /// <summary>To <see cref="DispatchLoop"/>: a request whose deadline passed was ended; false: it had ended before.</summary>
    public sealed record Expired(TrackedRequest Request, bool? Result) : Answer;

    /// <summary>To <see cref="HolderWatch"/>: which of the gateways that hold requests have no lease.</summary>
    public sealed record Sought(IReadOnlyCollection<string>? Absent) : Answer;

    /// <summary>To <see cref="HolderWatch"/>: a request of a gateway that is gone was ended, or is another's.</summary>
    public sealed record Lapsed(TrackedRequest Request, string Holder, LapseResult? Result) : Answer;
}
