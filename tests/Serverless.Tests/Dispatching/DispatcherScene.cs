using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>A dispatcher over memory, at a clock the test drives, and workers the test plays. Its gateway may be replaced.</summary>
internal sealed class DispatcherScene : IAsyncDisposable, IDispatchObserver
{
    private readonly Channel<string> _news = Channel.CreateBounded<string>(1000);
    private volatile bool _asleep;
    private readonly TaskCompletionSource _gaveUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    /// <summary>How long a dispatcher that is awake may take to notice a second. Longer than a thread is held up, as a rule: another second passes then.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly MemoryLeases _leases;
    private CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private int _workers;
    private int _gateways;

    public DispatcherScene(IRequestLog? log = null, Func<TimeProvider, IRequestLog>? logAt = null)
    {
        Log = log ?? logAt?.Invoke(Time) ?? new MemoryRequestLog(Time);
        _leases = new MemoryLeases(Time);
        Leases = new WatchedLeases(_leases);
        Start();
    }

    public TestClock Time { get; } = new(TestRequests.Deadline.AddMinutes(-10));

    public MemoryRequestQueue Queue { get; } = new(new QueueLimits());

    public IRequestLog Log { get; }

    public WatchedLeases Leases { get; private set; }

    public MemoryWorkerSessions Sessions { get; } = new();

    public TestCatalog Catalog { get; } = TestCatalog.Of(TestRequests.Model);

    public RecordingLoops Loops { get; } = new();

    public RecordingPromises Promises { get; } = new();

    public MemoryDemandFeed Demand { get; } = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>What the observer was told: "poisoned", "expired", "lost", "faulted", "adopted", "store lost", "store back", "gone"; assignments go unmentioned.</summary>
    public Task<string> NewsAsync() => _news.Reader.ReadAsync(Token).WithinLimitAsync();

    /// <summary>Lets time pass, second by second, as long as it takes the parts to notice each. A dispatcher that has ended, or ends in one of them, tells no demand any more.</summary>
    public async Task PassAsync(int seconds)
    {
        for (; seconds > 0; seconds--) await PassAsync();
    }

    /// <summary>The queue holds no more than these once messages are answered, which happens after an end and off the loop.</summary>
    public async Task QueueHoldsAsync(int requests, int deadLetters = 0)
    {
        await DemandAsync(_ => true); // a dispatcher is there
        var depth = await Queue.DepthAsync(TestRequests.Model, Token);
        for (var second = 0; second < 30 && (depth.Requests, depth.DeadLetters) != (requests, deadLetters); second++)
        {
            await PassAsync();
            await TestTimeouts.WaitAsync(TestTimeouts.Turn); // whoever answers the message is no loop that could be waited for
            depth = await Queue.DepthAsync(TestRequests.Model, Token);
        }

        (depth.Requests, depth.DeadLetters).ShouldBe((requests, deadLetters));
        if (requests == 0) (depth.Tokens, depth.Bytes).ShouldBe((0L, 0L));
    }

    /// <summary>Whether the dispatcher has nothing to do and sleeps.</summary>
    public bool IsAsleep => _asleep;

    /// <summary>Another gateway's lease, as its process would keep it.</summary>
    public async Task<Lease> LeaseGatewayAsync(string instance) => (await _leases.AcquireAsync(LeaseNames.Gateway(instance), "elsewhere", TimeSpan.FromDays(1), Token)).ShouldNotBeNull();

    /// <summary>The dispatcher has ended and given its lease back.</summary>
    public Task GaveUpAsync() => _gaveUp.Task.WithinLimitAsync();

    public ValueTask ReleaseAsync(Lease lease) => _leases.ReleaseAsync(lease, Token);

    /// <summary>Opens a request's log and enqueues it, as a gateway does.</summary>
    public async Task<InferenceRequest> SubmitAsync(Func<InferenceRequest, InferenceRequest>? change = null)
    {
        var request = TestRequests.New();
        request = change?.Invoke(request) ?? request;
        await Log.OpenAsync(request.Id, HeadOf(request), Token);
        (await Queue.EnqueueAsync(request, Token)).Succeeded.ShouldBeTrue();
        return request;
    }

    /// <summary>Kept in the log beyond its end, whoever promised it, so that a test may read it late.</summary>
    public static LogHead HeadOf(InferenceRequest request) => new(request.Model, request.Promise, request.Holder, request.Deadline) { Resumable = true };

    public async Task<ScriptedWorker> ConnectAsync(int slots = 8, long kv = 1000, string? name = null, bool loading = false, params AttemptClaim[] running)
    {
        var link = await Sessions.ConnectAsync(
            new WorkerDescription
            {
                Worker = name ?? $"worker-{_workers++}",
                Pool = new PoolName("tiny-cpu"),
                Model = TestRequests.Model,
                Engine = "scripted",
                KvCapacityTokens = loading ? 0 : kv,
                Slots = loading ? 0 : slots,
                Loading = loading,
                Running = running,
            },
            Token).WithinLimitAsync();
        return new ScriptedWorker(link, Log);
    }

    /// <summary>The terminal event of a request, once it is there.</summary>
    public async Task<RequestEvent> EndOfAsync(InferenceRequest request) => (await EventsAsync(request))[^1];

    /// <summary>All events of a request, once it has ended.</summary>
    public Task<List<RequestEvent>> EventsAsync(InferenceRequest request)
    {
        return ReadAsync().WithinLimitAsync();

        async Task<List<RequestEvent>> ReadAsync()
        {
            var events = new List<RequestEvent>();
            await foreach (var logged in Log.FollowAsync(request.Id, 0, Token)) events.Add(logged.Event);
            return events;
        }
    }

    /// <summary>The first demand that is as asked for. At a clock that stands still only the coming and going of work is published.</summary>
    public Task<ModelDemand> DemandAsync(Func<ModelDemand, bool> wanted)
    {
        return WatchAsync().WithinLimitAsync();

        async Task<ModelDemand> WatchAsync()
        {
            await foreach (var demand in Demand.WatchAsync(TestRequests.Model, Token))
            {
                if (wanted(demand)) return demand;
            }

            throw new InvalidOperationException("The feed ended.");
        }
    }

    /// <summary>The demand once it is as asked for; seconds pass until then.</summary>
    public Task<ModelDemand> NextDemandAsync(Func<ModelDemand, bool> wanted) => MeanwhileAsync(DemandAsync(wanted));

    /// <summary>What comes of it; seconds pass until then.</summary>
    public async Task<T> MeanwhileAsync<T>(Task<T> what)
    {
        await MeanwhileAsync((Task)what);
        return await what;
    }

    /// <summary>Lets seconds pass until it has ended.</summary>
    public async Task MeanwhileAsync(Task what)
    {
        while (!what.IsCompleted)
        {
            if (!await PassAsync()) await what.EndsWithinAsync(TestTimeouts.Turn); // a clock that nobody paces runs for days while a thread is held up
        }

        await what;
    }

    /// <summary>Stops the dispatcher, as its process does.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running.WithinLimitAsync();
    }

    /// <summary>A new gateway takes over from the one that was stopped.</summary>
    public async Task TakeOverAsync()
    {
        await StopAsync();
        _stop.Dispose();
        _stop = new CancellationTokenSource();
        Leases = new WatchedLeases(_leases);
        Start();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    void IDispatchObserver.Assigned(InferenceRequest request, string replica, int attempt, TimeSpan waited) => waited.ShouldBeGreaterThanOrEqualTo(TimeSpan.Zero);

    void IDispatchObserver.AttemptLost(InferenceRequest request, string replica) => _news.Writer.TryWrite("lost");

    void IDispatchObserver.Poisoned(InferenceRequest request) => _news.Writer.TryWrite("poisoned");

    void IDispatchObserver.Expired(InferenceRequest request) => _news.Writer.TryWrite("expired");

    void IDispatchObserver.Faulted(ModelName model, Exception exception) => TestContext.Current.SendDiagnosticMessage($"faulted: {exception}");

    void IDispatchObserver.GaveUp(ModelName model, string reason)
    {
        _gaveUp.TrySetResult();
        _gone.TrySetResult();
    }

    void IDispatchObserver.Adopted(InferenceRequest request, string replica, int attempt) => _news.Writer.TryWrite("adopted");

    void IDispatchObserver.StoreLost(ModelName model) => _news.Writer.TryWrite("store lost");

    void IDispatchObserver.StoreBack(ModelName model) => _news.Writer.TryWrite("store back");

    void IDispatchObserver.NotUnderstood(InferenceRequest request, string replica) => _news.Writer.TryWrite($"not understood by {replica}");

    void IDispatchObserver.StopIgnored(InferenceRequest request, string replica) => _news.Writer.TryWrite($"not stopped by {replica}");

    void IDispatchObserver.Slept(ModelName model) => _asleep = true;

    void IDispatchObserver.Woke(ModelName model) => _asleep = false;

    void IDispatchObserver.Held(ModelName model, long epoch)
    {
        _asleep = false;
        if (_gone.Task.IsCompleted) _gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously); // another is there
    }

    void IDispatchObserver.HolderGone(string holder, int requests) => _news.Writer.TryWrite($"gone: {holder} with {requests}");

    /// <summary>A second passes. Whether the dispatcher has noticed: one that sleeps, or is not there, does not.</summary>
    private async Task<bool> PassAsync()
    {
        var last = Demand.Latest(TestRequests.Model);
        var sleeps = _asleep;
        await WatchedLeases.TickAsync(Time, Leases);
        if (last is null || sleeps) return false;

        var noticed = DemandAsync(demand => demand.At > last.At);
        var either = Task.WhenAny(noticed, _gone.Task);
        while (!await either.EndsWithinAsync(Patience) && !_asleep) await WatchedLeases.TickAsync(Time, Leases); // it had not set its timer yet when the second passed
        return noticed.IsCompletedSuccessfully;
    }

    private void Start()
    {
        var ports = new DispatchPorts(Queue, Log, Sessions, Leases, Demand, [Promises], this, Time);
        _running = new DispatcherSet(new GatewayIdentity($"gateway-{_gateways++}", "memory"), Catalog, ports, new Supervisor(Time, Loops), Loops).RunAsync(_stop.Token);
    }
}
