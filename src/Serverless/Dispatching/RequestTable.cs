using Serverless.Demand;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>The requests of one dispatcher, from delivery to end: waiting, in the backlog (planned, deferred or parked) or at a replica. Not thread-safe.</summary>
internal sealed class RequestTable
{
    private readonly Dictionary<RequestId, TrackedRequest> _requests = [];
    private readonly SortedSet<(DateTimeOffset Deadline, string Id)> _deadlines = [];
    private readonly List<TrackedRequest> _deferred = [];
    private readonly Dictionary<string, int> _holders = new(StringComparer.Ordinal);

    /// <summary>(c) Those that may be planned.</summary>
    public Backlog Backlog { get; } = new();

    public OutputLengthEstimate OutputLength { get; } = new();

    public int Count => _requests.Count;

    /// <summary>Gateways whose connections promised any of them.</summary>
    public IReadOnlyCollection<string> Holders => _holders.Keys;

    /// <summary>Those that wait in the backlog: planned, deferred or parked.</summary>
    public IReadOnlyList<TrackedRequest> Waiting => [.. _requests.Values.Where(request => request.Replica is null && Backlog.Contains(request.Id))];

    public TrackedRequest? Find(RequestId id) => _requests.GetValueOrDefault(id);

    public bool Has(TrackedRequest request) => Find(request.Id) == request;

    public IReadOnlyList<TrackedRequest> HeldBy(string holder) => [.. _requests.Values.Where(request => request.Holder == holder)];

    /// <summary>Tracks a new one.</summary>
    /// <param name="delivery">It.</param>
    /// <param name="byAge">Whether it has its turn in its conversation by its age, and not by when it was delivered.</param>
    public TrackedRequest Add(IRequestDelivery delivery, bool byAge)
    {
        var request = new TrackedRequest(new BacklogEntry(delivery, OutputLength.For(delivery.Request)));
        _requests.Add(request.Id, request);
        Backlog.Line(request.Entry, byAge);
        Watch(request);
        return request;
    }

    /// <summary>Takes a newer delivery for the one it was tracked by.</summary>
    public void Replace(TrackedRequest request, IRequestDelivery delivery)
    {
        Unwatch(request);
        request.Entry.Delivery = delivery;
        Watch(request);
    }

    /// <summary>Hangs it on another gateway's lease; empty: on nobody's.</summary>
    public void Follow(TrackedRequest request, string holder)
    {
        Hang(request.Holder, -1);
        request.Holder = holder;
        Hang(request.Holder, 1);
    }

    /// <summary>Lets it be planned.</summary>
    public void Enqueue(TrackedRequest request)
    {
        if (!Backlog.Contains(request.Id)) Backlog.Add(request.Entry);
    }

    /// <summary>Keeps one that waits out of the plan until then, without losing its place, nor its conversation's turn.</summary>
    public void Defer(TrackedRequest request, DateTimeOffset until)
    {
        if (request.DeferredUntil is null) _deferred.Add(request);
        request.DeferredUntil = until;
        Backlog.Withhold(request.Entry);
    }

    /// <summary>Keeps one that no connected worker understands out of the plan until another worker comes.</summary>
    public void Park(TrackedRequest request) => Defer(request, DateTimeOffset.MaxValue);

    /// <summary>Lets a deferred or parked one be planned again.</summary>
    public void Resume(TrackedRequest request)
    {
        if (TryUndefer(request)) Backlog.Release(request.Entry);
    }

    /// <summary>Lets all parked ones be planned again.</summary>
    public void ResumeParked()
    {
        foreach (var request in _deferred.Where(request => request.DeferredUntil == DateTimeOffset.MaxValue).ToArray()) Resume(request);
    }

    /// <summary>Lets those be planned again whose time has come.</summary>
    public void Tick(DateTimeOffset now)
    {
        for (var place = _deferred.Count - 1; place >= 0; place--)
        {
            if (_deferred[place].DeferredUntil <= now) Resume(_deferred[place]);
        }
    }

    /// <summary>Gives it to a replica; it must be in the backlog.</summary>
    public void Attach(TrackedRequest request, ReplicaState replica)
    {
        TryUndefer(request);
        Backlog.Take(request.Entry);
        request.Replica = replica;
        replica.Add(request);
    }

    /// <summary>Back to the head of its tenant's line.</summary>
    public void Requeue(TrackedRequest request)
    {
        request.Replica!.Remove(request);
        Detach(request);
        Backlog.Return(request.Entry);
    }

    /// <summary>It has ended.</summary>
    public void Forget(TrackedRequest request, int outputTokens)
    {
        _requests.Remove(request.Id);
        TryUndefer(request);
        Unwatch(request);
        if (request.Replica is { } replica)
        {
            replica.Remove(request);
            Detach(request);
            Backlog.Settle(request.Entry, outputTokens);
        }
        else
        {
            request.Nonce = default;
            Backlog.Remove(request.Entry);
        }
    }

    /// <summary>The next one whose deadline has passed, once.</summary>
    public TrackedRequest? TakeExpired(DateTimeOffset now)
    {
        if (_deadlines.Count == 0 || _deadlines.Min.Deadline > now) return null;

        var expired = _deadlines.Min;
        _deadlines.Remove(expired);
        return _requests[new RequestId(expired.Id)];
    }

    /// <summary>Lets it expire again then: its end could not be written.</summary>
    public void ExpireAgain(TrackedRequest request, DateTimeOffset at)
    {
        request.ExpiresAt = at;
        _deadlines.Add(Expiry(request));
    }

    private static (DateTimeOffset Deadline, string Id) Expiry(TrackedRequest request) => (request.ExpiresAt, request.Id.Value);

    private static void Detach(TrackedRequest request)
    {
        request.Replica = null;
        request.Nonce = default;
        request.Fence = default;
        request.AssignedAt = null;
        request.Cancelled = request.Preempted = false;
        request.StopSentAt = null;
    }

    private bool TryUndefer(TrackedRequest request)
    {
        if (request.DeferredUntil is null) return false;
        request.DeferredUntil = null;
        return _deferred.Remove(request);
    }

    private void Watch(TrackedRequest request)
    {
        ExpireAgain(request, request.Request.Deadline);
        Follow(request, request.Request.Promise == Promise.Connection ? request.Request.Holder : "");
    }

    private void Unwatch(TrackedRequest request)
    {
        _deadlines.Remove(Expiry(request));
        Follow(request, "");
    }

    private void Hang(string holder, int change)
    {
        if (holder.Length == 0) return;

        var count = _holders.GetValueOrDefault(holder) + change;
        if (count > 0) _holders[holder] = count;
        else _holders.Remove(holder);
    }
}

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

    /// <summary>Timestamp of its assignment from its beginning; null while it waits, or where an earlier attempt has done a part of it.</summary>
    public long? AssignedAt { get; set; }

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

    /// <summary>Times in a row that an engine took it not, being busy, no output in between; null before the first. They count against nobody.</summary>
    public Backoff? Pauses { get; set; }

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
