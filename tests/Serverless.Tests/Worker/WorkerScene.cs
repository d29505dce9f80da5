using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Worker.Sessions;
using Shouldly;

namespace Serverless.Tests.Worker;

/// <summary>A worker loop over a held engine and a memory log; the test plays its dispatcher.</summary>
internal sealed class WorkerScene : IAsyncDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly MemoryWorkerSessions _sessions = new();
    private readonly CancellationTokenSource _drain = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly IAsyncEnumerator<IWorkerSession> _arrivals;
    private IAsyncEnumerator<WorkerMessage>? _messages;

    public WorkerScene()
    {
        Log = new FaultyLog(new MemoryRequestLog(Time));
        _arrivals = _sessions.AcceptAsync(TestRequests.Model, 1, Token).GetAsyncEnumerator(Token);
        var worker = new WorkerDescription
        {
            Worker = "replica-0",
            Pool = new PoolName("tiny-cpu"),
            Model = TestRequests.Model,
            Engine = Engine.Name,
            KvCapacityTokens = Engine.KvCapacityTokens,
            Slots = Engine.Slots,
        };
        var metrics = new WorkerMetrics(_services.GetRequiredService<IMeterFactory>());
        var runner = new AttemptRunner(worker.Worker, Engine, () => FirstTokens++, Time, NullLogger<AttemptRunner>.Instance);
        Running = new WorkerLoop(worker, Engine, new RunningAttempts(runner, Log, metrics, Time, _stop.Token), _sessions, Time).RunAsync(_drain.Token, _stop.Token);
    }

    public TestClock Time { get; } = new(TestRequests.Deadline.AddMinutes(-10));

    public HeldEngine Engine { get; } = new();

    public FaultyLog Log { get; }

    public Task Running { get; }

    public int FirstTokens { get; private set; }

    public IWorkerSession Session { get; private set; } = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async Task AcceptAsync()
    {
        (await _arrivals.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        Session = _arrivals.Current;
        _messages = Session.ReadAsync(Token).GetAsyncEnumerator(Token);
    }

    /// <summary>The next message; a load, which may come at any time, only where one is asked for.</summary>
    public async Task<T> HearAsync<T>()
        where T : WorkerMessage
    {
        do (await _messages!.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue("the session ended");
        while (_messages.Current is WorkerMessage.Report && typeof(T) != typeof(WorkerMessage.Report));
        return _messages.Current.ShouldBeAssignableTo<T>()!;
    }

    /// <summary>Begins an attempt and assigns it.</summary>
    public async Task<Assignment> AssignAsync(InferenceRequest? request = null)
    {
        request ??= TestRequests.New();
        await Log.OpenAsync(request.Id, new LogHead(request.Model, Promise.Id, "test", request.Deadline), Token);
        var begun = await Log.BeginAsync(request.Id, 1, Guid.NewGuid(), Token);
        var assignment = new Assignment(request, begun.Fence, begun.LastSequence, begun.Output);
        Session.TrySend(new DispatcherMessage.Assign(assignment)).ShouldBeTrue();
        return assignment;
    }

    /// <summary>Waits until the log holds that many events of the request.</summary>
    public async Task<List<RequestEvent>> LoggedAsync(Assignment assignment, int count)
    {
        return await ReadAsync().WithinLimitAsync();

        async Task<List<RequestEvent>> ReadAsync()
        {
            var events = new List<RequestEvent>();
            await foreach (var logged in Log.FollowAsync(assignment.Request.Id, 0, Token))
            {
                events.Add(logged.Event);
                if (events.Count == count) break;
            }

            return events;
        }
    }

    public void Drain() => _drain.Cancel();

    public void Stop() => _stop.Cancel();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _drain.Dispose();
        _stop.Dispose();
        await _services.DisposeAsync();
    }
}
