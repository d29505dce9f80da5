using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// From a delivery to the backlog. The log is asked first: what has ended needs no replica to be told so, and what a dispatcher had before may run at a worker that has not
/// registered here yet; for those a new dispatcher waits a moment. What comes for the first time to a dispatcher that has room for it is begun without asking: the log
/// answers that too. Not thread-safe.
/// </summary>
internal sealed class Intake(RequestTable table, Attempts attempts, Ends ends, DispatchPorts ports, LoopCalls calls, DemandPublisher publisher)
{
    /// <summary>How long a new dispatcher waits for workers to say what they run: they look for it every second or so.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);

    private readonly DateTimeOffset _graceEnds = ports.Time.GetUtcNow() + Grace;
    private readonly List<TrackedRequest> _unclaimed = [];
    private readonly List<TrackedRequest> _unasked = [];

    public void Deliver(IRequestDelivery delivery, bool storeIsOpen)
    {
        if (table.Find(delivery.Request.Id) is { } known)
        {
            Repeat(known, delivery);
            return;
        }

        var request = table.Add(delivery);
        if (!delivery.Redelivered && !IsGrace && storeIsOpen && table.Backlog.Count == 0 && attempts.HasRoomFor(request)) Take(request, Acceptance.New, null);
        else Accept(request);
    }

    /// <summary>Asks again what could not be asked, and gives up waiting for workers when it is time.</summary>
    public void Tick(bool storeIsOpen)
    {
        if (storeIsOpen && _unasked.Count > 0)
        {
            TrackedRequest[] again = [.. _unasked.Where(table.Has)];
            _unasked.Clear();
            foreach (var request in again) Accept(request);
        }

        if (_unclaimed.Count == 0 || IsGrace) return;
        foreach (var request in _unclaimed.Where(request => table.Has(request) && request.Replica is null)) table.Enqueue(request);
        _unclaimed.Clear();
    }

    private bool IsGrace => ports.Time.GetUtcNow() < _graceEnds;

    /// <summary>The newer delivery counts; but one that is on disk is never given up for one that is not.</summary>
    private void Repeat(TrackedRequest known, IRequestDelivery delivery)
    {
        var old = known.Entry.Delivery;
        if (ReferenceEquals(old, delivery)) return;

        var isLesser = old.Request.Promise == Promise.Id && delivery.Request.Promise != Promise.Id;
        if (!isLesser) table.Replace(known, delivery);
        ends.Acknowledge(isLesser ? delivery : old);
    }

    private void Accept(TrackedRequest request) => calls.Ask(
        cancellationToken => AskAsync(request.Request, cancellationToken),
        known => Take(request, known.Acceptance, known.Head),
        () => _unasked.Add(request));

    /// <summary>What an id promised may have lost its log with the store: it is opened again.</summary>
    private async ValueTask<(Acceptance Acceptance, LogHead? Head)> AskAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        if (request.Promise == Promise.Id) await ports.Log.OpenAsync(request.Id, LogHead.Of(request), cancellationToken);
        if (await ports.Log.AcceptAsync(request.Id, ports.Time.GetUtcNow(), cancellationToken)) return (Acceptance.New, null);

        var head = await ports.Log.ReadHeadAsync(request.Id, cancellationToken);
        return (head is null ? Acceptance.Unknown : head.Ended ? Acceptance.Ended : Acceptance.Known, head);
    }

    private void Take(TrackedRequest request, Acceptance acceptance, LogHead? head)
    {
        if (!table.Has(request)) return; // it ended meanwhile

        if (acceptance is Acceptance.Ended or Acceptance.Unknown)
        {
            if (acceptance == Acceptance.Ended && request.Entry.Delivery.Redelivered) ends.CompleteAgain(request, head!.Attempts);
            else ends.Complete(request, 0);
            return;
        }

        request.Accepted = true;
        if (head is not null) table.Follow(request, head.Promise == Promise.Connection ? head.Holder : "");
        if (request.Entry.Request.Lane != Lane.Batch) publisher.Arrived(request.Entry.Request.PromptTokens, request.Entry.ExpectedOutputTokens, ports.Time.GetUtcNow());
        if (attempts.TryAdopt(request)) return;

        if (acceptance == Acceptance.Known && IsGrace) _unclaimed.Add(request);
        else table.Enqueue(request);
    }
}
