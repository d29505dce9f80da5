using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>A dispatcher's loop on the test's own thread, over memory: each input is handled before the next is given.</summary>
internal sealed class LoopScene : IDispatchObserver
{
    private readonly Channel<DispatchInput> _inbox = Channel.CreateBounded<DispatchInput>(1000);
    private readonly MemoryRequestQueue _queue = new(new QueueLimits());
    private int _accepted;

    /// <param name="isNew">Whether the dispatcher begins now: workers of an earlier one, and what that gave back, are waited for.</param>
    public LoopScene(bool isNew = false)
    {
        Log = new MemoryRequestLog(Time);
        var ports = new DispatchPorts(_queue, Log, new MemoryWorkerSessions(), new MemoryLeases(Time), Demand, [Promises], this, Time);
        Loop = new DispatchLoop(TestRequests.Model, 1, ports, _inbox.Writer, Token);
        if (!isNew) Pass(TimeSpan.FromSeconds(5));
    }

    public TestClock Time { get; } = new(TestRequests.Deadline.AddMinutes(-10));

    public MemoryRequestLog Log { get; }

    public MemoryDemandFeed Demand { get; } = new();

    public RecordingPromises Promises { get; } = new();

    public DispatchLoop Loop { get; }

    public List<string> News { get; } = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>A worker connects.</summary>
    public (ReplicaState Replica, Session Said) Connect(string name, long kv = 1000, int slots = 8, IReadOnlyList<string>? endpoints = null, IReadOnlyList<string>? features = null, bool loading = false, params AttemptClaim[] running)
    {
        var session = new Session(new WorkerDescription
        {
            Worker = name,
            Pool = new PoolName("tiny-cpu"),
            Model = TestRequests.Model,
            Engine = "scripted",
            KvCapacityTokens = kv,
            Slots = slots,
            Endpoints = endpoints ?? [],
            Features = features ?? [],
            Loading = loading,
            Running = running,
        });
        var replica = new ReplicaState(session);
        Handle(new DispatchInput.Opened(replica));
        return (replica, session);
    }

    /// <summary>A request is delivered.</summary>
    public InferenceRequest Submit(Func<InferenceRequest, InferenceRequest>? change = null, bool redelivered = false)
    {
        var request = TestRequests.New() with { AcceptedAt = TestRequests.Deadline.AddMinutes(-10).AddMilliseconds(_accepted++) };
        request = change?.Invoke(request) ?? request;
        Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token).AsTask().IsCompletedSuccessfully.ShouldBeTrue();
        Handle(new DispatchInput.Delivered(new Delivery(this, request, redelivered)));
        return request;
    }

    /// <summary>A dispatcher before this one had it.</summary>
    public void Know(InferenceRequest request)
    {
        Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token).AsTask().IsCompletedSuccessfully.ShouldBeTrue();
        Log.AcceptAsync(request.Id, Time.GetUtcNow(), Token).AsTask().IsCompletedSuccessfully.ShouldBeTrue();
    }

    /// <summary>A worker says that an attempt left it.</summary>
    public void Leave(ReplicaState replica, Assignment assignment, AttemptOutcome outcome = AttemptOutcome.Ended, int tokens = 1) =>
        Handle(new DispatchInput.Said(replica, new WorkerMessage.AttemptEnded(assignment.Request.Id, outcome, tokens) { Attempt = assignment.Fence.Attempt }));

    /// <summary>A session breaks.</summary>
    public void Close(ReplicaState replica) => Handle(new DispatchInput.Closed(replica));

    public void Handle(DispatchInput input)
    {
        Loop.Handle(input);
        while (_inbox.Reader.TryRead(out var next)) Loop.Handle(next);
        Loop.Advance();
    }

    /// <summary>Time passes, tick by tick.</summary>
    public void Pass(TimeSpan time)
    {
        for (var end = Time.GetUtcNow() + time; Time.GetUtcNow() < end;)
        {
            Time.Advance(TimeSpan.FromMilliseconds(100));
            Handle(new DispatchInput.Tick());
        }
    }

    void IDispatchObserver.Assigned(InferenceRequest request, string replica, int attempt, TimeSpan waited)
    {
    }

    void IDispatchObserver.AttemptLost(InferenceRequest request, string replica) => News.Add("lost");

    void IDispatchObserver.Poisoned(InferenceRequest request) => News.Add("poisoned");

    void IDispatchObserver.Expired(InferenceRequest request) => News.Add("expired");

    void IDispatchObserver.Faulted(ModelName model, Exception exception) => News.Add("faulted");

    void IDispatchObserver.NotUnderstood(InferenceRequest request, string replica) => News.Add($"not understood by {replica}");

    void IDispatchObserver.StopIgnored(InferenceRequest request, string replica) => News.Add($"not stopped by {replica}");

    void IDispatchObserver.Adopted(InferenceRequest request, string replica, int attempt) => News.Add("adopted");

    void IDispatchObserver.Slept(ModelName model) => News.Add("slept");

    void IDispatchObserver.Woke(ModelName model) => News.Add("woke");

    /// <summary>The dispatcher's end of a worker's session.</summary>
    public sealed class Session(WorkerDescription worker) : IWorkerSession
    {
        public WorkerDescription Worker => worker;

        public List<DispatcherMessage> Heard { get; } = [];

        public bool IsClosed { get; private set; }

        public IEnumerable<Assignment> Assigned => Heard.OfType<DispatcherMessage.Assign>().Select(assign => assign.Assignment);

        public bool TrySend(DispatcherMessage message)
        {
            if (IsClosed) return false;
            Heard.Add(message);
            return true;
        }

        public void Close() => IsClosed = true;

        public IAsyncEnumerable<WorkerMessage> ReadAsync(CancellationToken cancellationToken) => throw new NotSupportedException();
    }

    private sealed class Delivery(LoopScene scene, InferenceRequest request, bool redelivered) : IRequestDelivery
    {
        public InferenceRequest Request => request;

        public bool Redelivered => redelivered;

        public ValueTask CompleteAsync(CancellationToken cancellationToken)
        {
            scene.News.Add("completed");
            return ValueTask.CompletedTask;
        }

        public ValueTask ReturnAsync(CancellationToken cancellationToken)
        {
            scene.News.Add("returned");
            return ValueTask.CompletedTask;
        }

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken)
        {
            scene.News.Add("dead letter");
            return ValueTask.CompletedTask;
        }
    }
}
