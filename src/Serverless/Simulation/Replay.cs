using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Requests;

namespace Serverless.Simulation;

/// <summary>
/// A trace through the platform's own backlog, dispatch planner, demand publisher and (as one of the policies) pool planner, against replayed engines, in virtual time.
/// Deterministic: the same trace, policy and options give the same result.
/// </summary>
/// <remarks>
/// <code>
///  trace ── arrivals ──▶ backlog ──▶ dispatch planner ──▶ engines ──▶ first tokens, ends
///                          │ demand                          ▲
///                          └────────▶ policy ──▶ fleet ──────┘ cold start, drain
/// </code>
/// </remarks>
public sealed class Replay
{
    private const double SampleInterval = 10;
    private const double Patience = 7200;

    private readonly Trace _trace;
    private readonly IReplayPolicy _policy;
    private readonly ReplayOptions _options;
    private readonly Model _model;
    private readonly ReplayFleet _fleet;
    private readonly VirtualTime _time = new();
    private readonly Backlog _backlog = new();
    private readonly OutputLengthEstimate _outputLength = new();
    private readonly MemoryDemandFeed _feed = new();
    private readonly DemandPublisher _publisher;
    private readonly Dictionary<RequestId, TrackedRequest> _open = [];
    private readonly PriorityQueue<Event, (double At, long Order)> _events = new();
    private readonly ReplayLedger _ledger;
    private long _order;
    private int _next;

    private Replay(Trace trace, IReplayPolicy policy, ReplayOptions options)
    {
        (_trace, _policy, _options) = (trace, policy, options);
        _model = new Model
        {
            Name = new ModelName("replayed"),
            Family = "llama",
            Source = new ModelSource("simulated", "replayed"),
            ContextTokens = 131_072,
            Backend = "simulated",
            Flavors = [new Flavor { Name = options.Profile.Name, AcceleratorClass = options.Profile.Name }],
            Scaling = new ScalingConfig { MaxReplicas = options.MaxReplicas },
        };
        _fleet = new ReplayFleet(_model.Pools[0], options, trace.Seconds);
        _publisher = new DemandPublisher(_model.Name, _feed, _time);
        _ledger = new ReplayLedger(options);
    }

    private enum Kind
    {
        Arrival,
        Ready,
        End,
        Look,
        Sample,
    }

    private bool Done => _next == _trace.Requests.Count && _open.Count == 0;

    /// <summary>Replays <paramref name="trace"/> under <paramref name="policy"/>, from no replica at all.</summary>
    public static ReplayResult Run(Trace trace, IReplayPolicy policy, ReplayOptions options)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentNullException.ThrowIfNull(options);
        return new Replay(trace, policy, options).Run();
    }

    private ReplayResult Run()
    {
        if (_trace.Requests.Count > 0) Push(_trace.Requests[0].At, Kind.Arrival);
        Push(0, Kind.Look);
        Push(0, Kind.Sample);
        while (!Done && _events.TryDequeue(out var happened, out var when))
        {
            _time.Seconds = when.At;
            if (when.At > _trace.Seconds + Patience) break; // a policy that leaves work lying: what waits has no first token
            Handle(happened, when.At);
        }

        _fleet.Close(_time.Seconds);
        return _ledger.Result(_trace, _policy, _fleet, _open.Values.Select(open => (ReplayRequest)open.Entry.Delivery));
    }

    private void Handle(Event happened, double now)
    {
        switch (happened.Kind)
        {
            case Kind.Arrival:
                Arrive(now);
                break;
            case Kind.Ready:
                if (_fleet.Connect(happened.Replica!, now)) Dispatch(now);
                break;
            case Kind.End when happened.Schedule == happened.Replica!.Schedule && !happened.Replica.Gone:
                End(happened.Replica, now);
                break;
            case Kind.Look:
                Look(now);
                Push(now + _policy.Interval, Kind.Look);
                break;
            case Kind.Sample:
                _ledger.Sample(now, _fleet, _backlog.Count);
                Push(now + SampleInterval, Kind.Sample);
                break;
        }
    }

    private void Arrive(double now)
    {
        for (; _next < _trace.Requests.Count && _trace.Requests[_next].At <= now; _next++) Deliver(_trace.Requests[_next]);
        if (_next < _trace.Requests.Count) Push(_trace.Requests[_next].At, Kind.Arrival);
        Dispatch(now);
        if (_policy.Pushed && _fleet.Desired == 0) Look(now);
    }

    private void Deliver(TraceRequest traced)
    {
        var request = new InferenceRequest
        {
            Id = new RequestId($"t{_next}"),
            Model = _model.Name,
            Endpoint = EndpointName.ChatCompletions,
            Body = default,
            PromptTokens = traced.PromptTokens,
            MaxOutputTokens = Math.Max(_options.MaxOutputTokens, traced.OutputTokens),
            Seed = (ulong)_next,
            AcceptedAt = _time.Now,
            Deadline = _time.Now.AddHours(24),
        };
        var delivery = new ReplayRequest(request, traced);
        var entry = new BacklogEntry(delivery, _outputLength.For(request));
        delivery.Tracked = new TrackedRequest(entry);
        _open.Add(request.Id, delivery.Tracked);
        _backlog.Line(entry, byAge: false);
        _backlog.Add(entry);
        _publisher.Arrived(request.PromptTokens, entry.ExpectedOutputTokens, _time.Now);
        _ledger.Arrived(traced);
    }

    private void Dispatch(double now)
    {
        while (_backlog.Peek() is { } entry && DispatchPlanner.Choose(entry, _fleet.Connected) is { } chosen)
        {
            var delivery = (ReplayRequest)entry.Delivery;
            var replica = _fleet.Of(chosen);
            _backlog.Take(entry);
            delivery.Tracked!.Replica = chosen;
            chosen.Add(delivery.Tracked);
            replica.Engine.Add(delivery, now);
            Schedule(replica);
        }
    }

    private void End(ReplayReplica replica, double now)
    {
        var done = replica.Engine.End(now);
        replica.Measure();
        if (done is { } ended)
        {
            _outputLength.Observe(ended.Request, ended.Traced.OutputTokens);
            replica.State.Remove(ended.Tracked!);
            _backlog.Settle(ended.Tracked!.Entry, ended.Traced.OutputTokens);
            _open.Remove(ended.Request.Id);
            _ledger.Ended(ended);
            _fleet.Settle(replica, now);
            Dispatch(now);
        }

        Schedule(replica);
    }

    private void Look(double now)
    {
        foreach (var replica in _fleet.Replicas) replica.Measure();
        _publisher.Publish(_backlog, _open.Count, _fleet.Connected, _outputLength.MeanShare);
        var engines = _fleet.Replicas.Where(replica => replica is { Ready: true, Draining: false }).Select(replica => replica.Engine);
        var view = new PolicyView(
            now,
            _fleet.Desired,
            _fleet.Ready,
            _backlog.Count,
            _open.Count - _backlog.Count,
            _backlog.PromptTokens + engines.Sum(engine => engine.WaitingPromptTokens),
            engines.Sum(engine => engine.KvTokens / _options.Profile.KvTokens),
            _feed.Latest(_model.Name)!,
            _fleet.Capacity(),
            _model);
        foreach (var (replica, readyAt) in _fleet.Ask(_policy.Decide(view), now)) Push(readyAt, Kind.Ready, replica);
    }

    private void Schedule(ReplayReplica replica)
    {
        replica.Schedule++;
        if (double.IsFinite(replica.Engine.NextEnd)) _events.Enqueue(new Event(Kind.End, replica, replica.Schedule), (replica.Engine.NextEnd, _order++));
    }

    private void Push(double at, Kind kind, ReplayReplica? replica = null) => _events.Enqueue(new Event(kind, replica, 0), (at, _order++));

    private readonly record struct Event(Kind Kind, ReplayReplica? Replica, long Schedule);
}
