using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>F26: a model without work costs nothing, and its first request waits for nothing.</summary>
public sealed class SleepTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void A_dispatcher_falls_asleep_when_the_rates_of_its_demand_have_faded_and_says_so_once()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w");
        scene.Submit();
        scene.Leave(replica, said.Assigned.Single());
        scene.Loop.Rhythm.ShouldBe(TimeSpan.FromSeconds(1));
        scene.Pass(TimeSpan.FromSeconds(60));
        scene.Demand.Latest(TestRequests.Model)!.RequestsPerSecond.ShouldNotBeNull().ShouldBeGreaterThan(0);

        scene.Pass(TimeSpan.FromSeconds(60));

        scene.News.Last().ShouldBe("slept");
        scene.Loop.IsAwake.ShouldBeFalse();
        scene.Loop.Rhythm.ShouldBe(Timeout.InfiniteTimeSpan);
        scene.Loop.WantsDeliveries.ShouldBeTrue("a replica that has nothing to do is worth a consumer");
        var last = scene.Demand.Latest(TestRequests.Model)!;
        (last.RequestsPerSecond, last.PromptTokensPerSecond, last.RecentPromptTokensPerSecond).ShouldBe((0, 0, 0));
        scene.Pass(TimeSpan.FromSeconds(30));
        scene.Demand.Latest(TestRequests.Model)!.At.ShouldBe(last.At);

        scene.Close(replica);
        scene.Pass(TimeSpan.FromSeconds(31));
        scene.Loop.WantsDeliveries.ShouldBeFalse();
        scene.Demand.Latest(TestRequests.Model)!.Replicas.ShouldBeEmpty();
        scene.Handle(new DispatchInput.Arrived());
        scene.Loop.WantsDeliveries.ShouldBeTrue();
        scene.Loop.IsAwake.ShouldBeTrue();
    }

    [Fact]
    public void Work_that_comes_and_goes_all_the_time_is_told_to_be_gone_ten_times_a_second_at_most()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w");
        Serve();
        scene.Demand.Latest(TestRequests.Model)!.HasWork.ShouldBeFalse("the first time it is told at once");
        scene.Loop.Rhythm.ShouldBe(TimeSpan.FromSeconds(1));

        Serve();
        scene.Demand.Latest(TestRequests.Model)!.HasWork.ShouldBeTrue("each time would be two plans for a request that took no time");
        scene.Loop.Rhythm.ShouldBe(TimeSpan.FromMilliseconds(100));
        scene.Pass(TimeSpan.FromMilliseconds(100));

        scene.Demand.Latest(TestRequests.Model)!.HasWork.ShouldBeFalse();
        scene.Loop.Rhythm.ShouldBe(TimeSpan.FromSeconds(1));

        void Serve()
        {
            scene.Submit();
            scene.Leave(replica, said.Assigned.Last());
        }
    }

    [Fact]
    public async Task A_thousand_models_without_work_take_a_handful_of_calls_a_second_and_the_first_request_of_each_needs_no_time_at_all()
    {
        var models = Enumerable.Range(0, 1000).Select(number => new ModelName($"model-{number}")).ToArray();
        var time = new TestClock(TestRequests.Deadline.AddMinutes(-10));
        var (queue, log, sessions, feed, loops, calls) = (new MemoryRequestQueue(new QueueLimits()), new MemoryRequestLog(time), new MemoryWorkerSessions(), new CountingFeed(), new RecordingLoops(), new Faults());
        var leases = new WatchedLeases(FaultyPort<ILeases>.Of(new MemoryLeases(time), calls));
        var observer = new SleepObserver();
        var ports = new DispatchPorts(FaultyPort<IRequestQueue>.Of(queue, calls), log, sessions, leases, feed, [], observer, time);
        using var stop = new CancellationTokenSource();
        var set = new DispatcherSet(new GatewayIdentity("gateway", "memory"), TestCatalog.Of(models), ports, new Supervisor(time, loops), loops);
        var running = set.RunAsync(stop.Token);
        while (set.State.Models < 1000) await leases.LookAsync(time);
        while (observer.Asleep < 1000) await leases.LookAsync(time);
        while (set.State.Awake > 0) await leases.LookAsync(time);
        await leases.LookAsync(time);

        var (stored, published) = (calls.Called("ILeases"), feed.Published);
        var consumed = calls.Called("IRequestQueue");
        for (var second = 0; second < 10; second++) await leases.LookAsync(time);
        (calls.Called("ILeases") - stored).ShouldBeLessThanOrEqualTo(3 * 10, "who lives, and the renewal of all");
        (calls.Called("IRequestQueue") - consumed).ShouldBe(0);
        feed.Published.ShouldBe(published);
        feed.Latest(models[7])!.Age(time.GetUtcNow()).ShouldBeLessThan(TimeSpan.FromSeconds(3), "it is known to be still so");

        // The clock stands still from here on.
        foreach (var model in new[] { models[3], models[998] })
        {
            var connecting = sessions.ConnectAsync(new WorkerDescription { Worker = "w", Pool = new PoolName("p"), Model = model, Engine = "scripted", KvCapacityTokens = 1000, Slots = 8 }, Token);
            var request = TestRequests.New(model);
            await log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
            await queue.EnqueueAsync(request, Token);
            await using var link = await connecting;
            await using var said = link.ReadAsync(Token).GetAsyncEnumerator(Token);
            (await said.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            said.Current.ShouldBeOfType<DispatcherMessage.Assign>().Assignment.Request.Id.ShouldBe(request.Id);
        }

        await stop.CancelAsync();
        await running.WithinLimitAsync();
    }

    [Fact]
    public async Task What_comes_to_a_model_at_zero_is_seen_in_its_demand_at_once()
    {
        await using var scene = new DispatcherScene();
        await scene.DemandAsync(_ => true);
        while (!scene.IsAsleep) await scene.PassAsync(1);

        await scene.SubmitAsync();

        (await scene.DemandAsync(demand => demand.PendingRequests == 1)).RequestsPerSecond.ShouldNotBeNull().ShouldBeGreaterThan(0);
    }

    /// <summary>Counts what is published.</summary>
    private sealed class CountingFeed : IDemandFeed
    {
        private readonly MemoryDemandFeed _feed = new();
        private int _published;

        public int Published => Volatile.Read(ref _published);

        public void Publish(ModelDemand demand)
        {
            Interlocked.Increment(ref _published);
            _feed.Publish(demand);
        }

        public void Renew(DateTimeOffset now) => _feed.Renew(now);

        public void Withdraw(ModelName model) => _feed.Withdraw(model);

        public ModelDemand? Latest(ModelName model) => _feed.Latest(model);

        public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => _feed.WatchAsync(model, cancellationToken);

        public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => _feed.WatchAllAsync(cancellationToken);
    }

    private sealed class SleepObserver : IDispatchObserver
    {
        private int _asleep;

        public int Asleep => Volatile.Read(ref _asleep);

        public void Assigned(InferenceRequest request, string replica, int attempt, TimeSpan waited)
        {
        }

        public void AttemptLost(InferenceRequest request, string replica)
        {
        }

        public void Poisoned(InferenceRequest request)
        {
        }

        public void Expired(InferenceRequest request)
        {
        }

        public void Faulted(ModelName model, Exception exception) => TestContext.Current.SendDiagnosticMessage($"faulted: {exception}");

        public void Slept(ModelName model) => Interlocked.Increment(ref _asleep);

        public void Woke(ModelName model) => Interlocked.Decrement(ref _asleep);
    }
}
