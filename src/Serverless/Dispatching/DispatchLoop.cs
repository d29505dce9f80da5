using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>
/// One dispatcher's state and what each input does to it: <see cref="Intake"/> brings requests in, <see cref="Attempts"/> has them run, <see cref="Ends"/> sees them out,
/// <see cref="Holders"/> ends those that nobody waits for. Used by one loop: not thread-safe.
/// </summary>
internal sealed class DispatchLoop
{
    private readonly DispatchPorts _ports;
    private readonly RequestTable _table = new();
    private readonly StoreGate _gate;
    private readonly DemandPublisher _publisher;
    private readonly LoopCalls _calls;
    private readonly Ends _ends;
    private readonly Attempts _attempts;
    private readonly Intake _intake;
    private readonly Holders _holders;

    public DispatchLoop(ModelName model, long epoch, DispatchPorts ports, ChannelWriter<DispatchInput> inbox, CancellationToken stop)
    {
        _ports = ports;
        _gate = new StoreGate(model, ports.Observer, ports.Time);
        _publisher = new DemandPublisher(model, ports.Demand, ports.Time);
        _calls = new LoopCalls(inbox, _gate, stop);
        _ends = new Ends(_table, ports, _calls);
        _attempts = new Attempts(model, epoch, _table, _ends, ports, _calls, _publisher);
        _intake = new Intake(_table, _attempts, _ends, ports, _calls, _publisher);
        _holders = new Holders(_table, _attempts, ports, _calls);
    }

    public void Handle(DispatchInput input)
    {
        switch (input)
        {
            case DispatchInput.Delivered delivered:
                _intake.Deliver(delivered.Delivery, _gate.IsOpen);
                HandOut(); // before the next comes: what has room need not wait for it
                break;
            case DispatchInput.Opened opened:
                _attempts.Open(opened.Replica);
                break;
            case DispatchInput.Said said:
                Hear(said.Replica, said.Message);
                break;
            case DispatchInput.Closed closed:
                _attempts.Close(closed.Replica);
                break;
            case DispatchInput.Ended ended:
                _attempts.Stop(ended.Id);
                break;
            case DispatchInput.Answered answered:
                answered.GoOn();
                break;
            case DispatchInput.Tick:
                Tick();
                break;
            case DispatchInput.Faulted faulted:
                ExceptionDispatchInfo.Throw(faulted.Exception);
                break;
        }
    }

    /// <summary>(d) Hands out what can be handed out, and tells the scaler.</summary>
    public void Advance()
    {
        HandOut();
        _publisher.Publish(_table.Backlog, _table.Count, _attempts.Replicas, _table.OutputLength.MeanShare);
    }

    /// <summary>Lets go: workers look for the next dispatcher and take along what they run. Waits for the calls under way, which the stop has cancelled.</summary>
    public Task CloseAsync()
    {
        foreach (var replica in _attempts.Replicas) replica.Session.Close();
        return _calls.DrainAsync();
    }

    private void HandOut()
    {
        while (_gate.IsOpen && _table.Backlog.Peek() is { } entry)
        {
            var request = _table.Find(entry.Request.Id)!;
            if (DispatchPlanner.Choose(entry, _attempts.Replicas) is { } replica)
            {
                if (replica.Taken > 0 && Lateness(request) is var late && late > TimeSpan.Zero) _ends.GiveUp(request, TooLate(request.Request, late));
                else _attempts.Begin(request, replica);
            }
            else if (DispatchPlanner.NeverFits(entry, _attempts.Replicas, out var largest))
            {
                _ends.Fail(request, TooLarge(entry.Request, largest), 0);
            }
            else
            {
                _attempts.MakeRoom(entry);
                break;
            }
        }
    }

    /// <summary>
    /// By how much it would miss its deadline if it began now: what will not be waited for takes no engine's time from what will. A replica that has nothing else to do
    /// tries all the same: that is how an expectation that was wrong is found out.
    /// </summary>
    private TimeSpan Lateness(TrackedRequest request) =>
        _ports.Time.GetUtcNow() + _publisher.Runs.For(request.Request.MaxTotalTokens - request.Request.PromptTokens) - request.Request.Deadline;

    private static ServingFault TooLate(InferenceRequest request, TimeSpan late) => new(
        ServingError.DeadlineExceeded,
        string.Create(CultureInfo.InvariantCulture, $"The request waited so long that it would miss its deadline of {(request.Deadline - request.AcceptedAt).TotalSeconds:F0} s by about {late.TotalSeconds:F1} s, so it was not begun; allow more with X-Request-Timeout."),
        RetryAfter: late);

    private static ServingFault TooLarge(InferenceRequest request, long largest) => new(
        ServingError.ContextTooLong,
        string.Create(CultureInfo.InvariantCulture, $"The prompt has {request.PromptTokens} tokens and the largest replica holds {largest}, prompt and output together; shorten the prompt."),
        "messages");

    private void Hear(ReplicaState replica, WorkerMessage message)
    {
        switch (message)
        {
            case WorkerMessage.AttemptEnded ended:
                _attempts.Leave(replica, ended);
                break;
            case WorkerMessage.Report report:
                replica.Load = report.Load;
                break;
            case WorkerMessage.StoreChanged changed:
                _attempts.Reassert(replica, changed);
                break;
            case WorkerMessage.Draining:
                replica.Draining = true;
                replica.Session.TrySend(new DispatcherMessage.Drain()); // what was assigned before this is the last
                break;
        }
    }

    private void Tick()
    {
        _intake.Tick(_gate.IsOpen);
        _attempts.Tick(_gate.IsOpen);
        _holders.Tick();
        while (_gate.IsOpen && _table.TakeExpired(_ports.Time.GetUtcNow()) is { } expired) Expire(expired);
    }

    private void Expire(TrackedRequest tracked)
    {
        var request = tracked.Request;
        var fault = new ServingFault(
            ServingError.DeadlineExceeded,
            string.Create(CultureInfo.InvariantCulture, $"The request did not end within its deadline of {(request.Deadline - request.AcceptedAt).TotalSeconds:F0} s; allow more with X-Request-Timeout."),
            RetryAfter: _publisher.DrainTime(_table.Backlog));
        _calls.Ask(
            cancellationToken => _ports.Log.EndAsync(request.Id, new RequestEvent.Failed(fault), cancellationToken),
            ended =>
            {
                if (ended) _ports.Observer.Expired(request);
                if (_table.Has(tracked)) _attempts.Stop(request.Id);
            },
            () =>
            {
                if (_table.Has(tracked)) _table.ExpireAgain(tracked);
            });
    }
}
