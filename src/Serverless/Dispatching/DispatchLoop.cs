using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>
/// One dispatcher's state and what each input does to it: <see cref="Intake"/> brings requests in, <see cref="Placement"/> hands them out, <see cref="AttemptTracker"/> has them run,
/// <see cref="RequestEnder"/> sees them out, <see cref="HolderWatch"/> ends those that nobody waits for. Used by one loop: not thread-safe.
/// </summary>
internal sealed class DispatchLoop
{
    private static readonly TimeSpan BusyRhythm = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan IdleRhythm = TimeSpan.FromSeconds(1);

    /// <summary>How long after the last sign of life it goes on looking for work: longer than a hint that was lost takes to be made good.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(30);

    private readonly ModelName _model;
    private readonly DispatchPorts _ports;
    private readonly RequestTable _table = new();
    private readonly StoreGate _gate;
    private readonly DemandPublisher _publisher;
    private readonly LoopCalls _calls;
    private readonly RequestEnder _ender;
    private readonly AttemptTracker _attempts;
    private readonly Intake _intake;
    private readonly Placement _placement;
    private readonly HolderWatch _holders;
    private DateTimeOffset _livelyUntil;
    private DateTimeOffset _deliveredUntil;
    private bool _isRetired;

    public DispatchLoop(ModelName model, long epoch, DispatchPorts ports, ChannelWriter<DispatchInput> inbox, CancellationToken stop)
    {
        (_model, _ports) = (model, ports);
        _gate = new StoreGate(model, ports.Observer, ports.Time);
        _publisher = new DemandPublisher(model, ports.Demand, ports.Time);
        _calls = new LoopCalls(model, ports.Observer, inbox, Handle, stop);
        _ender = new RequestEnder(_table, ports, _calls);
        _attempts = new AttemptTracker(model, epoch, _table, _ender, ports, _calls, _publisher);
        _intake = new Intake(_table, _attempts, _ender, ports, _calls, _publisher);
        _placement = new Placement(_table, _attempts, _ender, _publisher, _gate, ports.Time);
        _holders = new HolderWatch(_table, _attempts, ports, _calls);
    }

    /// <summary>How often it wants to be ticked: never, while it sleeps.</summary>
    public TimeSpan Rhythm => _table.Count > 0 || _publisher.IsOwed ? BusyRhythm : IsAwake ? IdleRhythm : Timeout.InfiniteTimeSpan;

    /// <summary>Whether it looks for work; otherwise an input wakes it.</summary>
    public bool IsAwake { get; private set; } = true;

    /// <summary>Whether it consumes the model's queue: while it is awake, and for replicas that have nothing to do.</summary>
    public bool WantsDeliveries => IsAwake || _attempts.Replicas.Count > 0;

    /// <summary>Whether the catalogue has the model no longer, and nothing of it is left: what ran has ended, and for a while nobody has sent what was admitted before.</summary>
    public bool IsDone => _isRetired && !HoldsWork;

    /// <summary>Whether there is anything of it: requests, ends that are being written, or what others may still send, having sent something of late.</summary>
    public bool HoldsWork => _table.Count > 0 || _attempts.HasClaims || !_calls.IsIdle || _ports.Time.GetUtcNow() < _deliveredUntil;

    /// <summary>For tests: see <see cref="Placement.Reservation"/>.</summary>
    public (RequestId Head, ReplicaState Replica)? Reservation => _placement.Reservation;

    public void Handle(DispatchInput input)
    {
        if (input is not DispatchInput.Tick) _livelyUntil = _ports.Time.GetUtcNow() + Linger;
        if (input is DispatchInput.Answer answer) _gate.Note(answer);
        switch (input)
        {
            case DispatchInput.Retired retired:
                _isRetired = retired.IsRetired;
                break;
            case DispatchInput.Delivered delivered: // (c)
                _deliveredUntil = _livelyUntil;
                _intake.Deliver(delivered.Delivery, _gate.IsOpen);
                HandOut(); // before the next comes: what has room need not wait for it
                break;
            case DispatchInput.Looked looked:
                _intake.GoOn(looked);
                break;
            case DispatchInput.Begun begun: // (d)
                _attempts.GoOn(begun);
                break;
            case DispatchInput.Adopted adopted:
                _attempts.GoOn(adopted);
                break;
            case DispatchInput.Opened opened:
                _attempts.Open(opened.Replica);
                break;
            case DispatchInput.Said said: // (e)
                Hear(said.Replica, said.Message);
                break;
            case DispatchInput.Closed closed:
                _attempts.Close(closed.Replica);
                break;
            case DispatchInput.Ended ended: // (f)
                _attempts.Stop(ended.Id);
                break;
            case DispatchInput.Expired expired:
                GoOn(expired);
                break;
            case DispatchInput.Sought sought:
                _holders.GoOn(sought);
                break;
            case DispatchInput.Lapsed lapsed:
                _holders.GoOn(lapsed);
                break;
            case DispatchInput.Tick:
                Tick();
                break;
            case DispatchInput.Faulted faulted:
                ExceptionDispatchInfo.Throw(faulted.Exception);
                break;
        }
    }

    /// <summary>(d) Hands out what can be handed out, tells the scaler, and sees whether there is anything left to do.</summary>
    public void Advance()
    {
        HandOut();
        Rest();
        _publisher.Publish(_table.Backlog, _table.Count, _attempts.Replicas, _table.OutputLength.MeanShare, isLast: !IsAwake);
    }

    /// <summary>Of a model that the catalogue has no longer nothing is begun: no replica will come, so that whoever waits need not wait for the deadline to be told.</summary>
    private void HandOut()
    {
        if (!_isRetired)
        {
            _placement.HandOut();
            return;
        }

        foreach (var waiting in _table.Waiting)
        {
            _ender.Reject(waiting, new ServingFault(ServingError.ModelNotFound, $"Model '{_model}' was taken out of service while the request waited; GET /v1/models lists what is served.", "model"));
        }
    }

    /// <summary>Lets go: workers look for the next dispatcher and take along what they run. Waits for the calls under way, which the stop has cancelled.</summary>
    public Task CloseAsync()
    {
        foreach (var replica in _attempts.Replicas) replica.Session.Close();
        return _calls.DrainAsync();
    }

    /// <summary>A model without work is free (ADR 15): when nothing has come for a while and the rates of its demand have faded, it says so once and sleeps.</summary>
    private void Rest()
    {
        var now = _ports.Time.GetUtcNow();
        var isAwake = _isRetired || _table.Count > 0 || _attempts.HasClaims || now < _livelyUntil || !_publisher.HasFaded(now);
        if (isAwake == IsAwake) return;

        IsAwake = isAwake;
        if (isAwake) _ports.Observer.Woke(_model);
        else _ports.Observer.Slept(_model);
    }

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
        var now = _ports.Time.GetUtcNow();
        _table.Tick(now);
        _intake.Tick(_gate.IsOpen);
        _attempts.Tick(_gate.IsOpen);
        _holders.Tick();
        while (_gate.IsOpen && _table.TakeExpired(now) is { } expired) Expire(expired);
    }

    private void Expire(TrackedRequest tracked)
    {
        var request = tracked.Request;
        tracked.StoppedAs = RequestOutcome.Failed;
        var fault = new ServingFault(
            ServingError.DeadlineExceeded,
            string.Create(CultureInfo.InvariantCulture, $"The request did not end within its deadline of {(request.Deadline - request.AcceptedAt).TotalSeconds:F0} s; allow more with X-Request-Timeout."),
            RetryAfter: _publisher.DrainTime(_table.Backlog));
        _calls.Ask(
            cancellationToken => _ports.Log.EndAsync(request.Id, new RequestEvent.Failed(fault), cancellationToken),
            ended => new DispatchInput.Expired(tracked, ended),
            new DispatchInput.Expired(tracked, null));
    }

    private void GoOn(DispatchInput.Expired expired)
    {
        if (expired.Result == true) _ports.Observer.Expired(expired.Request.Request);
        else expired.Request.StoppedAs = RequestOutcome.Cancelled; // whoever was before us
        if (!_table.Has(expired.Request)) return;

        if (expired.Result is null) _table.ExpireAgain(expired.Request, _ports.Time.GetUtcNow() + StoreGate.Pause);
        else _attempts.Stop(expired.Request.Id);
    }
}
