using System.Globalization;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// (d) Hands requests out in the backlog's order. A head that fits nowhere reserves the replica that can take it soonest, and a few behind it may use the others: small requests
/// need not wait for a large one, and it waits no longer than if they did (ADR 16). Whom somebody waits for gets the place of work of the batch lane. Not thread-safe.
/// </summary>
internal sealed class Placement(RequestTable table, AttemptTracker attempts, RequestEnder ender, DemandPublisher publisher, StoreGate gate, TimeProvider time)
{
    /// <summary>How many behind a head that fits nowhere are looked at.</summary>
    public const int LookAhead = 16;

    private readonly List<BacklogEntry> _passedOver = [];
    private (BacklogEntry Head, ReplicaState Replica)? _reservation;

    /// <summary>Whose a replica is reserved for, and which; the head may have begun since.</summary>
    public (RequestId Head, ReplicaState Replica)? Reservation => _reservation is { } kept ? (kept.Head.Request.Id, kept.Replica) : null;

    /// <summary>Hands out what can be handed out.</summary>
    public void HandOut()
    {
        ReplicaState? reserved = null;
        while (gate.IsOpen && table.Backlog.Peek() is { } entry)
        {
            var request = table.Find(entry.Request.Id)!;
            if (DispatchPlanner.Choose(entry, attempts.Replicas, reserved) is { } replica)
            {
                Place(request, replica, []);
            }
            else if (DispatchPlanner.ChoosePreempted(entry, attempts.Replicas, reserved) is { } instead)
            {
                Place(request, instead.Replica, instead.Preempted);
            }
            else if (DispatchPlanner.NobodyUnderstands(entry, attempts.Replicas))
            {
                table.Park(request); // until another worker comes: whoever is behind it need not wait
            }
            else if (DispatchPlanner.NeverFits(entry, attempts.Replicas, out var largest))
            {
                ender.Reject(request, TooLarge(entry.Request, largest));
            }
            else
            {
                if (_passedOver.Count == 0) reserved = Reserve(entry);
                if (_passedOver.Count == LookAhead || !DispatchPlanner.HasFreeSlot(entry, attempts.Replicas, reserved)) break;

                table.Backlog.Withhold(entry);
                _passedOver.Add(entry);
            }
        }

        for (var place = _passedOver.Count - 1; place >= 0; place--) table.Backlog.Release(_passedOver[place]); // in reverse: each goes before those that were behind it
        _passedOver.Clear();
    }

    /// <summary>It begins beside those whose place it gets: they leave within a step of the engine, which is sooner than word of it would be here.</summary>
    private void Place(TrackedRequest request, ReplicaState replica, IReadOnlyList<TrackedRequest> preempted)
    {
        if (replica.Taken > 0 && Lateness(request) is var late && late > TimeSpan.Zero)
        {
            ender.GiveUp(request, TooLate(request.Request, late));
            return;
        }

        foreach (var other in preempted) attempts.Preempt(other);
        attempts.Begin(request, replica);
    }

    /// <summary>A head keeps the replica that it has reserved: one that drains for it is not given away when another seems better for a moment.</summary>
    private ReplicaState? Reserve(BacklogEntry head)
    {
        if (_reservation is { } kept && kept.Head == head && attempts.Replicas.Contains(kept.Replica) && DispatchPlanner.CouldTake(head, kept.Replica)) return kept.Replica;

        var reserved = DispatchPlanner.Soonest(head, attempts.Replicas);
        _reservation = reserved is null ? null : (head, reserved);
        return reserved;
    }

    /// <summary>
    /// By how much it would miss its deadline if it began now: what will not be waited for takes no engine's time from what will. A replica that has nothing else to do
    /// tries all the same: that is how an expectation that was wrong is found out.
    /// </summary>
    private TimeSpan Lateness(TrackedRequest request) =>
        time.GetUtcNow() + publisher.Runs.For(request.Request.MaxTotalTokens - request.Request.PromptTokens) - request.Request.Deadline;

    private static ServingFault TooLate(InferenceRequest request, TimeSpan late) => new(
        ServingError.DeadlineExceeded,
        string.Create(CultureInfo.InvariantCulture, $"The request waited so long that it would miss its deadline of {(request.Deadline - request.AcceptedAt).TotalSeconds:F0} s by about {late.TotalSeconds:F1} s, so it was not begun; allow more with X-Request-Timeout."),
        RetryAfter: late);

    private static ServingFault TooLarge(InferenceRequest request, long largest) => new(
        ServingError.ContextTooLong,
        string.Create(CultureInfo.InvariantCulture, $"The prompt has {request.PromptTokens} tokens and the largest replica holds {largest}, prompt and output together; shorten the prompt."),
        "messages");
}
