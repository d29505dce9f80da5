using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Tests.Dispatching;
using Serverless.Worker.Sessions;
using Shouldly;

namespace Serverless.Tests.Worker.Sessions;

/// <summary>One worker on a held engine and a memory log, and the dispatcher's end of its sessions in the test's hands.</summary>
internal sealed class WorkerScene : IAsyncDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly MemoryWorkerSessions _sessions = new();
    private readonly CancellationTokenSource _drain = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Queue<WorkerLoad> _reports = new();
    private IAsyncEnumerator<WorkerMessage>? _messages;

    /// <param name="clock">The worker's, where it is not the test that drives it.</param>
    /// <param name="firstSession">What the first session fails with; null: it does not.</param>
    /// <param name="maxOutputBytes">What the worker keeps of one output.</param>
    /// <param name="wrap">What the worker has of its first session in place of the session.</param>
    public WorkerScene(TimeProvider? clock = null, long maxOutputBytes = LogLimits.MaxOutputBytes, Exception? firstSession = null, Func<IDispatcherLink, IDispatcherLink>? wrap = null)
    {
        clock ??= Time;
        Log = new FlakyLog(clock);
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
        var runner = new AttemptRunner(worker.Worker, Engine, () => FirstTokens++, maxOutputBytes, clock, NullLogger<AttemptRunner>.Instance);
        Running = new WorkerLoop(worker, Engine, Attempts = new RunningAttempts(runner, Log, metrics, clock, _stop.Token), new Connector(_sessions, firstSession, wrap), Loops, clock).RunAsync(_drain.Token, _stop.Token);
    }

    public RecordingLoops Loops { get; } = new();

    public RunningAttempts Attempts { get; }

    public IMeterFactory Meters => _services.GetRequiredService<IMeterFactory>();

    public TestClock Time { get; } = new(TestRequests.Deadline.AddMinutes(-10));

    public HeldEngine Engine { get; } = new();

    public FlakyLog Log { get; }

    public Task Running { get; }

    public int FirstTokens { get; private set; }

    /// <summary>The session that was accepted last.</summary>
    public IWorkerSession Session { get; private set; } = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The worker registers with a dispatcher of that epoch.</summary>
    public async Task<IWorkerSession> AcceptAsync(long epoch = 1)
    {
        await using var arrivals = _sessions.AcceptAsync(TestRequests.Model, epoch, Token).Enumerate(Token);
        (await arrivals.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        Session = arrivals.Current;
        _messages = Session.ReadAsync(Token).Enumerate(Token);
        return Session;
    }

    /// <summary>The next message; a load, which may come at any time, only where one is asked for.</summary>
    public async Task<T> HearAsync<T>()
        where T : WorkerMessage
    {
        while (true)
        {
            (await _messages!.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue("the session ended");
            if (_messages.Current is not WorkerMessage.Report report || typeof(T) == typeof(WorkerMessage.Report)) return _messages.Current.ShouldBeAssignableTo<T>()!;
            _reports.Enqueue(report.Load);
        }
    }

    /// <summary>The next load that the worker reports.</summary>
    public async Task<WorkerLoad> ReportAsync()
    {
        if (_reports.TryDequeue(out var heard)) return heard;

        var report = HearAsync<WorkerMessage.Report>();
        await Time.PassUntilAsync(report, TimeSpan.FromMilliseconds(200)); // not faster than the worker, or it comes to the deadline of what it runs
        return (await report).Load;
    }

    /// <summary>Opens a request, begins its first attempt and assigns it.</summary>
    public async Task<Assignment> AssignAsync(Func<InferenceRequest, InferenceRequest>? change = null)
    {
        var request = TestRequests.New();
        request = change?.Invoke(request) ?? request;
        await Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        await Log.AcceptAsync(request.Id, TestRequests.Deadline, Token);
        return await BeginAsync(request);
    }

    /// <summary>Begins the next attempt and assigns it.</summary>
    public async Task<Assignment> BeginAsync(InferenceRequest request)
    {
        var begun = await Log.BeginAsync(request.Id, 1, Guid.NewGuid(), Token);
        var assignment = new Assignment(request, begun.Fence, begun.LastSequence, begun.Output);
        Session.TrySend(new DispatcherMessage.Assign(assignment)).ShouldBeTrue();
        return assignment;
    }

    /// <summary>Asserts an attempt in a store that lost something of it.</summary>
    public async Task AdoptAsync(Assignment assignment)
    {
        var id = assignment.Request.Id;
        var adopted = await Log.AdoptAsync(id, DispatcherScene.HeadOf(assignment.Request), 1, assignment.Fence, Token);
        Session.TrySend(new DispatcherMessage.Refence(id, adopted.Fence, adopted.LastSequence));
    }

    /// <summary>Gives so many tokens, and waits until the log has them.</summary>
    public async Task GiveAsync(Assignment assignment, int tokens)
    {
        Engine.Give(assignment.Request.Id, tokens);
        await PositionsAsync(assignment, assignment.Output.Count + tokens);
    }

    /// <summary>The first events of the request's attempts, once the log has so many.</summary>
    public Task<List<RequestEvent>> LoggedAsync(Assignment assignment, int count) =>
        Follow(assignment).Where(logged => logged is not RequestEvent.Accepted).Take(count).ToListAsync(Token).WithinLimitAsync();

    /// <summary>The positions of the first tokens in the log, once it has so many or the request has ended.</summary>
    public Task<List<int>> PositionsAsync(Assignment assignment, int count = int.MaxValue) =>
        Follow(assignment).OfType<RequestEvent.Chunk>().SelectMany(chunk => chunk.Choices).Select(choice => choice.Position).Take(count).ToListAsync(Token).WithinLimitAsync();

    public void Drain() => _drain.Cancel();

    public void Stop() => _stop.Cancel();

    public Task LeftAsync() => Running.WithinLimitAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await LeftAsync();
        _drain.Dispose();
        _stop.Dispose();
        await _services.DisposeAsync();
    }

    private sealed class Connector(IDispatcherConnector inner, Exception? first, Func<IDispatcherLink, IDispatcherLink>? wrap) : IDispatcherConnector
    {
        private Exception? _first = first;
        private Func<IDispatcherLink, IDispatcherLink>? _wrap = wrap;

        public async ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken)
        {
            if (Interlocked.Exchange(ref _first, null) is { } failure) throw failure;
            var link = await inner.ConnectAsync(worker, cancellationToken);
            return Interlocked.Exchange(ref _wrap, null) is { } wrapped ? wrapped(link) : link;
        }
    }

    private IAsyncEnumerable<RequestEvent> Follow(Assignment assignment) => Log.FollowAsync(assignment.Request.Id, 0, Token).Select(logged => logged.Event);
}
