using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless;

/// <summary>What worker sessions do, whatever carries them.</summary>
public abstract class WorkerSessionsContract : IAsyncLifetime
{
    private static readonly ModelName Model = TestRequests.Model;

    private readonly Channel<IWorkerSession> _accepted = Channel.CreateBounded<IWorkerSession>(100);
    private CancellationTokenSource? _stop;
    private Task _accepting = Task.CompletedTask;

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected abstract IWorkerSessions Sessions { get; }

    protected abstract IDispatcherConnector Connector { get; }

    public abstract ValueTask InitializeAsync();

    public virtual async ValueTask DisposeAsync()
    {
        await StopAcceptingAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_worker_says_who_it_is_and_learns_the_epoch()
    {
        var worker = Worker() with
        {
            Since = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123),
            Running = [new AttemptClaim(new RequestId("chatcmpl-1"), 3, 17) { StoreRun = "0123456789abcdef" }],
            HighestEpoch = 5,
            Features = ["dry_penalty", "logit_bias"],
        };
        await AcceptAsync(epoch: 7);

        var (link, session) = await ConnectAsync(worker);

        link.Epoch.ShouldBe(7);
        session.Worker.ShouldBe(worker with { Running = session.Worker.Running, Endpoints = session.Worker.Endpoints, Features = session.Worker.Features });
        session.Worker.Features.ShouldBe(worker.Features);
        session.Worker.Running.ShouldBe(worker.Running);
        await link.DisposeAsync();
    }

    [Fact]
    public async Task Everything_that_either_side_says_arrives_in_order()
    {
        await AcceptAsync(epoch: 1);
        var (link, session) = await ConnectAsync(Worker());
        var id = new RequestId("chatcmpl-1");
        var request = TestRequests.New() with { Promise = Promise.Id, Lane = Lane.Batch, Holder = "gateway-1", Needs = ["logit_bias"], Conversation = "c", Owner = new Owner("o", "t", "k") };
        IReadOnlyList<ChoiceChunk> output = [new ChoiceChunk(1, 4, [5, 6], "é") { HeldBack = new byte[] { 0xC3 }, Finish = FinishReason.Stop }];
        WorkerMessage[] fromWorker =
        [
            new WorkerMessage.Report(new WorkerLoad(3, 100, 1.5, 2.5) { LoadingProgress = 0.5, WaitingPromptTokens = 70, CachedPromptShare = 0.25 }),
            new WorkerMessage.AttemptEnded(id, AttemptOutcome.Lost, 12) { Attempt = 2 },
            new WorkerMessage.AttemptEnded(id, AttemptOutcome.Fenced, 0) { Attempt = 1 },
            new WorkerMessage.StoreChanged(id, 2),
            new WorkerMessage.Draining(),
        ];
        DispatcherMessage[] fromDispatcher =
        [
            new DispatcherMessage.Assign(new Assignment(request, new Fence("run", 2), 9, output)),
            new DispatcherMessage.Cancel(id),
            new DispatcherMessage.Preempt(id),
            new DispatcherMessage.Refence(id, new Fence("other", 2), 8),
            new DispatcherMessage.Drain(),
        ];

        foreach (var message in fromWorker) (await link.SendAsync(message, Token)).ShouldBeTrue();
        foreach (var message in fromDispatcher) session.TrySend(message).ShouldBeTrue();

        (await TakeAsync(session.ReadAsync(Token), fromWorker.Length)).ShouldBe(fromWorker);
        var heard = await TakeAsync(link.ReadAsync(Token), fromDispatcher.Length);
        heard[1..].ShouldBe(fromDispatcher[1..]);
        var assigned = heard[0].ShouldBeOfType<DispatcherMessage.Assign>().Assignment;
        assigned.Request.Body.ToArray().ShouldBe(request.Body.ToArray());
        (assigned.Request with { Body = request.Body, Shape = request.Shape, Needs = request.Needs }).ShouldBe(request);
        assigned.Request.Needs.ShouldBe(request.Needs);
        (assigned.Fence, assigned.LastSequence).ShouldBe((new Fence("run", 2), 9));
        TestRequests.Show(new RequestEvent.Chunk(assigned.Output)).ShouldBe(TestRequests.Show(new RequestEvent.Chunk(output)));
        await link.DisposeAsync();
    }

    [Fact]
    public async Task A_worker_waits_for_a_dispatcher()
    {
        var connecting = Connector.ConnectAsync(Worker(), Token).AsTask();
        await AcceptAsync(epoch: 1);

        await using var link = await connecting.WithinLimitAsync();
        (await NextAsync()).Worker.Worker.ShouldBe("worker-1");
    }

    [Fact]
    public async Task A_worker_that_has_followed_a_higher_epoch_waits_for_one_that_is_not_lower()
    {
        await AcceptAsync(epoch: 5);
        var connecting = Connector.ConnectAsync(Worker() with { HighestEpoch = 6 }, Token).AsTask();
        var (other, _) = await ConnectAsync(Worker() with { Worker = "other" }, accepts: worker => worker.Worker == "other");
        connecting.IsCompleted.ShouldBeFalse();

        await StopAcceptingAsync();
        await AcceptAsync(epoch: 6);

        await using var link = await connecting.WithinLimitAsync();
        link.Epoch.ShouldBe(6);
        await other.DisposeAsync();
    }

    [Fact]
    public async Task When_the_worker_ends_its_session_what_it_said_before_arrives_and_nothing_can_be_sent()
    {
        await AcceptAsync(epoch: 1);
        var (link, session) = await ConnectAsync(Worker());
        await link.SendAsync(new WorkerMessage.Draining(), Token);
        var said = AllAsync(session.ReadAsync(Token)); // as a dispatcher does, all the time

        await link.DisposeAsync();

        (await said).ShouldBe([new WorkerMessage.Draining()]);
        session.TrySend(new DispatcherMessage.Drain()).ShouldBeFalse();
    }

    [Fact]
    public async Task When_the_dispatcher_ends_a_session_what_it_said_before_arrives_and_the_worker_finds_the_next()
    {
        await AcceptAsync(epoch: 1);
        var (link, session) = await ConnectAsync(Worker());
        session.TrySend(new DispatcherMessage.Drain());

        session.Close();

        (await AllAsync(link.ReadAsync(Token))).ShouldBe([new DispatcherMessage.Drain()]);
        (await link.SendAsync(new WorkerMessage.Draining(), Token)).ShouldBeFalse();
        await link.DisposeAsync();
        var (again, _) = await ConnectAsync(Worker());
        await again.DisposeAsync();
    }

    [Fact]
    public async Task A_worker_that_does_not_read_fills_its_outbox_and_holds_nobody_up()
    {
        await AcceptAsync(epoch: 1);
        var (link, session) = await ConnectAsync(Worker());
        var big = new DispatcherMessage.Assign(new Assignment(TestRequests.New() with { Body = new byte[1 << 20] }, new Fence("run", 1), 0, []));

        var sent = 0;
        while (sent < 10_000 && session.TrySend(big)) sent++;

        sent.ShouldBeLessThan(10_000);
        session.Close();
        await link.DisposeAsync();
    }

    [Fact]
    public async Task A_connect_that_is_given_up_leaves_nothing_behind()
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var connecting = Connector.ConnectAsync(Worker(), giveUp.Token).AsTask();
        await giveUp.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => connecting.WithinLimitAsync());

        await AcceptAsync(epoch: 1);
        var (link, session) = await ConnectAsync(Worker() with { Worker = "next" });

        session.Worker.Worker.ShouldBe("next");
        await link.DisposeAsync();
    }

    protected static WorkerDescription Worker() => new()
    {
        Worker = "worker-1", Pool = new PoolName("tiny-cpu"), Model = Model, Engine = "simulated", KvCapacityTokens = 1000, Slots = 4,
    };

    /// <summary>Begins to dispatch the model with that epoch.</summary>
    protected virtual Task AcceptAsync(long epoch)
    {
        _stop = new CancellationTokenSource();
        _accepting = PumpAsync(epoch, _stop.Token);
        return Task.CompletedTask;
    }

    /// <summary>Stops dispatching.</summary>
    protected async Task StopAcceptingAsync()
    {
        if (_stop is null) return;
        await _stop.CancelAsync();
        await _accepting.WithinLimitAsync();
        _stop.Dispose();
        _stop = null;
    }

    protected Task<IWorkerSession> NextAsync() => _accepted.Reader.ReadAsync(Token).WithinLimitAsync();

    protected async Task<(IDispatcherLink Link, IWorkerSession Session)> ConnectAsync(WorkerDescription worker, Func<WorkerDescription, bool>? accepts = null)
    {
        var accepting = NextAsync();
        var link = await Connector.ConnectAsync(worker, Token).WithinLimitAsync();
        var session = await accepting;
        if (accepts is not null) accepts(session.Worker).ShouldBeTrue();
        return (link, session);
    }

    private async Task PumpAsync(long epoch, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var session in Sessions.AcceptAsync(Model, epoch, cancellationToken)) await _accepted.Writer.WriteAsync(session, cancellationToken);
        }
        catch (OperationCanceledException)
        {
        }
    }

    protected static async Task<List<T>> AllAsync<T>(IAsyncEnumerable<T> messages)
    {
        return await ReadAsync().WithinLimitAsync();

        async Task<List<T>> ReadAsync()
        {
            var all = new List<T>();
            await foreach (var message in messages.WithCancellation(Token)) all.Add(message);
            return all;
        }
    }

    private static async Task<List<T>> TakeAsync<T>(IAsyncEnumerable<T> messages, int count)
    {
        return await ReadAsync().WithinLimitAsync();

        async Task<List<T>> ReadAsync()
        {
            var taken = new List<T>();
            await foreach (var message in messages.WithCancellation(Token))
            {
                taken.Add(message);
                if (taken.Count == count) break;
            }

            return taken;
        }
    }
}
