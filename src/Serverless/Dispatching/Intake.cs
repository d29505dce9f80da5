using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// From a delivery to the backlog. The log is asked first: what has ended needs no replica to be told so, and what a dispatcher had before may run at a worker that has not
/// registered here yet; for those a new dispatcher waits a moment, and for the turns of conversations: what the dispatcher before it had is given back in any order. What comes for the first time to a dispatcher that has room for it is begun without asking: the log
/// answers that too. Not thread-safe.
/// </summary>
internal sealed class Intake(RequestTable table, AttemptTracker attempts, RequestEnder ender, DispatchPorts ports, LoopCalls calls, DemandPublisher publisher)
{
    /// <summary>How long a new dispatcher waits for workers to say what they run (they look for it every second or so), and for what is given back.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);

    private readonly long _begun = ports.Time.GetTimestamp();
    private readonly List<TrackedRequest> _unclaimed = [];
    private readonly List<(TrackedRequest Request, DateTimeOffset NotBefore)> _unasked = [];

    public void Deliver(IRequestDelivery delivery, bool storeIsOpen)
    {
        if (table.Find(delivery.Request.Id) is { } known)
        {
            Repeat(known, delivery);
            return;
        }

        var request = table.Add(delivery, byAge: IsGrace || delivery.Redelivered); // what a lost gateway had is given back when that is noticed, which may be later than the grace
        if (!delivery.Redelivered && !IsGrace && storeIsOpen && table.Backlog.Count == 0 && attempts.HasRoomFor(request)) Take(request, Acceptance.New, null);
        else LookUp(request);
    }

    /// <summary>Asks again what could not be asked, and gives up waiting for workers when it is time.</summary>
    public void Tick(bool storeIsOpen)
    {
        if (storeIsOpen && _unasked.Count > 0)
        {
            var now = ports.Time.GetUtcNow();
            TrackedRequest[] again = [.. _unasked.Where(waiting => waiting.NotBefore <= now && table.Has(waiting.Request)).Select(waiting => waiting.Request)];
            _unasked.RemoveAll(waiting => waiting.NotBefore <= now);
            foreach (var request in again) LookUp(request);
        }

        if (_unclaimed.Count == 0 || IsGrace) return;
        foreach (var request in _unclaimed.Where(request => table.Has(request) && request.Replica is null)) table.Enqueue(request);
        _unclaimed.Clear();
    }

    private bool IsGrace => ports.Time.GetElapsedTime(_begun) < Grace;

    /// <summary>The newer delivery counts; but one that is on disk is never given up for one that is not.</summary>
    private void Repeat(TrackedRequest known, IRequestDelivery delivery)
    {
        var old = known.Entry.Delivery;
        if (ReferenceEquals(old, delivery)) return;

        var isLesser = old.Request.Promise == Promise.Id && delivery.Request.Promise != Promise.Id;
        if (!isLesser) table.Replace(known, delivery);
        ender.Acknowledge(isLesser ? delivery : old);
    }

    /// <summary>The log has answered to a look-up.</summary>
    public void GoOn(DispatchInput.Looked looked)
    {
        if (looked.Result is { } found) Take(looked.Request, found.Acceptance, found.Head);
        else _unasked.Add((looked.Request, ports.Time.GetUtcNow() + (looked.IsStoreAway ? TimeSpan.Zero : StoreGate.Pause)));
    }

    private void LookUp(TrackedRequest request) => calls.Ask(
        cancellationToken => AskAsync(request.Request, cancellationToken),
        found => new DispatchInput.Looked(request, found),
        new DispatchInput.Looked(request, null));

    /// <summary>What an id promised may have lost its log with the store: it is opened again.</summary>
    private async ValueTask<LookUp> AskAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        if (request.Promise == Promise.Id) await ports.Log.OpenAsync(request.Id, LogHead.Of(request), cancellationToken);
        if (await ports.Log.AcceptAsync(request.Id, ports.Time.GetUtcNow(), cancellationToken)) return new LookUp(Acceptance.New, null);

        var head = await ports.Log.ReadHeadAsync(request.Id, cancellationToken);
        return new LookUp(head is null ? Acceptance.Unknown : head.Ended ? Acceptance.Ended : Acceptance.Known, head);
    }

    private void Take(TrackedRequest request, Acceptance acceptance, LogHead? head)
    {
        if (!table.Has(request)) return; // it ended meanwhile

        if (acceptance is Acceptance.Ended or Acceptance.Unknown)
        {
            if (acceptance == Acceptance.Ended) ender.CompleteEnded(request);
            else ender.Drop(request);
            return;
        }

        request.Accepted = true;
        if (head is not null) table.Follow(request, head.Promise == Promise.Connection ? head.Holder : "");
        if (request.Entry.Request.Lane != Lane.Batch) publisher.Arrived(request.Entry.Request.PromptTokens, request.Entry.ExpectedOutputTokens, ports.Time.GetUtcNow());
        if (attempts.TryAdopt(request)) return;

        if (IsGrace && (acceptance == Acceptance.Known || request.Request.Conversation is not null)) _unclaimed.Add(request);
        else table.Enqueue(request);
    }
}

/// <summary>What the log knew of a request when it was delivered.</summary>
internal enum Acceptance
{
    /// <summary>Nobody had it before.</summary>
    New,

    /// <summary>A dispatcher had it before: it may run somewhere.</summary>
    Known,

    /// <summary>It has ended.</summary>
    Ended,

    /// <summary>Nothing: its holder never opened the log, or the store lost it.</summary>
    Unknown,
}

/// <summary>The answer to a look-up in the log.</summary>
/// <param name="Acceptance">What it knew.</param>
/// <param name="Head">What it holds of a request that it had before.</param>
internal sealed record LookUp(Acceptance Acceptance, LogHead? Head);
