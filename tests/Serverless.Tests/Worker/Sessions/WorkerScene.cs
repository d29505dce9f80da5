using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Tests.Dispatching;
using Serverless.Worker.Sessions;
using Shouldly;

namespace Serverless.Tests.Worker.Sessions;

/// <summary>One worker on an engine whose every token the test gives, and the dispatcher's end of its sessions in the test's hands.</summary>
internal sealed class WorkerScene : IAsyncDisposable
{
    private readonly CancellationTokenSource _drain = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly MemoryWorkerSessions _sessions = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly Task _running;

    public WorkerScene(int slots = 4)
    {
        Log = new FlakyLog(TimeProvider.System);
        Engine = new HeldEngine(slots);
        var metrics = new WorkerMetrics(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());
        var runner = new AttemptRunner("w", Engine, () => { }, TimeProvider.System, NullLogger<AttemptRunner>.Instance);
        var description = new WorkerDescription { Worker = "w", Pool = new PoolName("tiny-cpu"), Model = TestRequests.Model, Engine = "held", KvCapacityTokens = 1000, Slots = slots };
        _running = new WorkerLoop(description, Engine, new RunningAttempts(runner, Log, metrics, TimeProvider.System, _stop.Token), _sessions, TimeProvider.System).RunAsync(_drain.Token, _stop.Token);
    }

    public FlakyLog Log { get; }

    public HeldEngine Engine { get; }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The worker registers with a dispatcher of that epoch.</summary>
    public async Task<IWorkerSession> AcceptAsync(long epoch)
    {
        await using var sessions = _sessions.AcceptAsync(TestRequests.Model, epoch, Token).GetAsyncEnumerator(Token);
        (await sessions.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return sessions.Current;
    }

    /// <summary>Opens a request and assigns its first attempt.</summary>
    public async Task<Assignment> AssignAsync(IWorkerSession session, Func<InferenceRequest, InferenceRequest>? change = null)
    {
        var request = TestRequests.New();
        request = change?.Invoke(request) ?? request;
        await Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        await Log.AcceptAsync(request.Id, TestRequests.Deadline, Token);
        var begun = await Log.BeginAsync(request.Id, 1, Guid.NewGuid(), Token);
        var assignment = new Assignment(request, begun.Fence, begun.LastSequence, begun.Output);
        session.TrySend(new DispatcherMessage.Assign(assignment)).ShouldBeTrue();
        return assignment;
    }

    /// <summary>The positions of the tokens in the log, once it has so many.</summary>
    public async Task<List<int>> PositionsAsync(Assignment assignment, int count)
    {
        return await ReadAsync().WithinLimitAsync();

        async Task<List<int>> ReadAsync()
        {
            var positions = new List<int>();
            await foreach (var logged in Log.FollowAsync(assignment.Request.Id, 0, Token))
            {
                if (logged.Event is RequestEvent.Chunk chunk) positions.AddRange(chunk.Choices.Select(choice => choice.Position));
                if (positions.Count >= count || logged.Event.IsTerminal) break;
            }

            return positions;
        }
    }

    /// <summary>The first message of that kind that the worker says.</summary>
    public static async Task<T> HearAsync<T>(IWorkerSession session)
        where T : WorkerMessage
    {
        return await ReadAsync().WithinLimitAsync();

        async Task<T> ReadAsync()
        {
            await foreach (var message in session.ReadAsync(Token))
            {
                if (message is T wanted) return wanted;
            }

            throw new InvalidOperationException("The session ended.");
        }
    }

    public Task DrainAsync() => _drain.CancelAsync();

    public Task StopAsync() => _stop.CancelAsync();

    public Task LeftAsync() => _running.WithinLimitAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await LeftAsync();
        _stop.Dispose();
        _drain.Dispose();
        await _services.DisposeAsync();
    }
}
