using Serverless.Demand;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>The requests of one dispatcher, from delivery to end: waiting, in the backlog or at a replica. Not thread-safe.</summary>
internal sealed class RequestTable
{
    private readonly Dictionary<RequestId, TrackedRequest> _requests = [];
    private readonly SortedSet<(DateTimeOffset Deadline, string Id)> _deadlines = [];
    private readonly Dictionary<string, int> _holders = new(StringComparer.Ordinal);

    /// <summary>(c) Those that may be planned.</summary>
    public Backlog Backlog { get; } = new();

    public OutputLengthEstimate OutputLength { get; } = new();

    public int Count => _requests.Count;

    /// <summary>Gateways whose connections promised any of them.</summary>
    public IReadOnlyCollection<string> Holders => _holders.Keys;

    public TrackedRequest? Find(RequestId id) => _requests.GetValueOrDefault(id);

    public bool Has(TrackedRequest request) => Find(request.Id) == request;

    public IReadOnlyList<TrackedRequest> HeldBy(string holder) => [.. _requests.Values.Where(request => request.Holder == holder)];

    public TrackedRequest Add(IRequestDelivery delivery)
    {
        var request = new TrackedRequest(new BacklogEntry(delivery, OutputLength.For(delivery.Request)));
        _requests.Add(request.Id, request);
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

    /// <summary>Gives it to a replica; it must be in the backlog.</summary>
    public void Attach(TrackedRequest request, ReplicaState replica)
    {
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

    /// <summary>Lets it expire again: its end could not be written.</summary>
    public void ExpireAgain(TrackedRequest request) => _deadlines.Add(Due(request));

    private static (DateTimeOffset Deadline, string Id) Due(TrackedRequest request) => (request.Request.Deadline, request.Id.Value);

    private static void Detach(TrackedRequest request)
    {
        request.Replica = null;
        request.Nonce = default;
        request.Fence = default;
        request.AssignedAt = null;
        request.Cancelled = request.Preempted = false;
    }

    private void Watch(TrackedRequest request)
    {
        _deadlines.Add(Due(request));
        Follow(request, request.Request.Promise == Promise.Connection ? request.Request.Holder : "");
    }

    private void Unwatch(TrackedRequest request)
    {
        _deadlines.Remove(Due(request));
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
