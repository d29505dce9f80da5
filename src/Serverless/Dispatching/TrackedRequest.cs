using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>A request from delivery to end, as its dispatcher tracks it. Not thread-safe.</summary>
internal sealed class TrackedRequest(BacklogEntry entry)
{
    public BacklogEntry Entry => entry;

    public RequestId Id => entry.Request.Id;

    /// <summary>As last delivered: a promotion changes its promise and deadline.</summary>
    public InferenceRequest Request => entry.Delivery.Request;

    /// <summary>Whether the log has it accepted, so that it may be planned.</summary>
    public bool Accepted { get; set; }

    /// <summary>Where it runs or is about to; null while it waits.</summary>
    public ReplicaState? Replica { get; set; }

    /// <summary>Of the begin or adoption whose answer counts: an answer to an earlier one comes too late.</summary>
    public Guid Nonce { get; set; }

    /// <summary>The right of the attempt that its worker runs; none until it is assigned.</summary>
    public Fence Fence { get; set; }

    /// <summary>Its number; 0 until it is assigned.</summary>
    public int Attempt => Fence.Attempt;

    /// <summary>When it was assigned from its beginning; null while it waits, or where an earlier attempt has done a part of it.</summary>
    public DateTimeOffset? AssignedAt { get; set; }

    /// <summary>Whether its worker was told to stop it.</summary>
    public bool Cancelled { get; set; }

    /// <summary>Whether its worker was told to give it back.</summary>
    public bool Preempted { get; set; }

    /// <summary>How it ended, where not by its worker: what it is stopped with. Failed while we end it for its deadline.</summary>
    public RequestOutcome StoppedAs { get; set; } = RequestOutcome.Cancelled;

    /// <summary>When its worker was told to stop it or give it back; null: it was not, or it has left.</summary>
    public DateTimeOffset? StopSentAt { get; set; }

    /// <summary>Until when it is kept out of the plan; null: it is not. <see cref="RequestTable"/> keeps it.</summary>
    public DateTimeOffset? DeferredUntil { get; set; }

    /// <summary>When it is ended wherever it is. <see cref="RequestTable"/> keeps it.</summary>
    public DateTimeOffset ExpiresAt { get; set; }

    /// <summary>Times in a row that its attempt came back unfinished without anybody having asked for it, no output in between; null before the first.</summary>
    public Backoff? Returns { get; set; }

    /// <summary>Attempts lost in a row with their worker, no output in between. <see cref="LostAttempts"/> keeps it.</summary>
    public int Losses { get; set; }

    /// <summary>Workers whose sessions ended with it: where one comes back, nothing was lost.</summary>
    public List<string> LostWith { get; } = [];

    /// <summary>Chunks the log held at the last begin: more of them is progress.</summary>
    public int OutputSeen { get; set; }

    /// <summary>Whether this dispatcher has begun it before, so that it knows the losses itself.</summary>
    public bool Begun { get; set; }

    /// <summary>Whose lease it hangs on; empty when on nobody's.</summary>
    public string Holder { get; set; } = "";
}
