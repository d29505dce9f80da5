using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>A dispatcher over memory, at a clock the test drives, and workers the test plays.</summary>
internal sealed class DispatcherScene : IAsyncDisposable, IDispatchObserver
{
    private readonly CancellationTokenSource _stop = new();
    private readonly MemoryWorkerSessions _sessions = new();
    private readonly Channel<string> _news = Channel.CreateBounded<string>(1000);
    private readonly Task _running;
    private int _workers;

    public DispatcherScene(IRequestLog? log = null)
    {
        Log = log ?? new MemoryRequestLog(Time);
        Leases = new MemoryLeases(Time);
        var ports = new DispatchPorts(Queue, Log, _sessions, Leases, Demand, Promises, this, Time);
        _running = new DispatcherSet(new GatewayIdentity("gateway-0", "memory"), TestCatalog.Of(TestRequests.Model), ports).RunAsync(_stop.Token);
    }

    public FakeTimeProvider Time { get; } = new(TestRequests.Deadline.AddMinutes(-10));

    public MemoryRequestQueue Queue { get; } = new(new QueueLimits());

    public IRequestLog Log { get; }

    public MemoryLeases Leases { get; }

    public RecordingPromises Promises { get; } = new();

    public MemoryDemandFeed Demand { get; } = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>What the observer was told: "poisoned", "expired", "lost", "faulted"; assignments go unmentioned.</summary>
    public Task<string> NewsAsync() => _news.Reader.ReadAsync(Token).WithinLimitAsync();

    /// <summary>Opens a request's log and enqueues it, as a gateway does.</summary>
    public async Task<InferenceRequest> SubmitAsync(Func<InferenceRequest, InferenceRequest>? change = null)
    {
        var request = TestRequests.New();
        request = change?.Invoke(request) ?? request;
        await Log.OpenAsync(request.Id, new LogHead(request.Model, Promise.Id, "test", request.Deadline), Token);
        (await Queue.EnqueueAsync(request, Token)).Succeeded.ShouldBeTrue();
        return request;
    }

    public async Task<ScriptedWorker> ConnectAsync(int slots = 8, long kv = 1000)
    {
        var link = await _sessions.ConnectAsync(
            new WorkerDescription
            {
                Worker = $"worker-{_workers++}",
                Pool = new PoolName("tiny-cpu"),
                Model = TestRequests.Model,
                Engine = "scripted",
                KvCapacityTokens = kv,
                Slots = slots,
            },
            Token);
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
    public Task<Demand> DemandAsync(Func<Demand, bool> wanted)
    {
        return WatchAsync().WithinLimitAsync();

        async Task<Demand> WatchAsync()
        {
            await foreach (var demand in Demand.WatchAsync(TestRequests.Model, Token))
            {
                if (wanted(demand)) return demand;
            }

            throw new InvalidOperationException("The feed ended.");
        }
    }

    /// <summary>Stops the dispatcher, as its process does.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _running.WithinLimitAsync();
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

    void IDispatchObserver.Faulted(ModelName model, Exception exception) => _news.Writer.TryWrite($"faulted: {exception.Message}");
}
