using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Sessions;
using Serverless.Tests.Dispatching;
using Serverless.Tests.Worker.Sessions;
using Serverless.Worker.Local;
using Serverless.Worker.Sessions;
using Shouldly;

namespace Serverless.Tests.Worker.Local;

/// <summary>F3: replicas of this process are made up to what was asked for, whatever became of them; a worker's process does not outlive its one replica.</summary>
public sealed class LocalReplicasTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_replica_that_ends_unasked_is_begun_again_after_a_pause_that_grows()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        for (var time = 1; time <= 4; time++)
        {
            (await world.Engines.LoadedAsync()).Dies();
            await world.Loops.FailedAsync();
            world.Loops.Failures.Count.ShouldBe(time);
            await world.PassUntilAsync(() => world.Engines.Loads > time);
        }

        world.Loops.Failures.Select(failure => failure.Pause!.Value.TotalSeconds).Last().ShouldBeGreaterThanOrEqualTo(4);
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 1);
    }

    [Fact]
    public async Task An_engine_that_is_lost_is_loaded_again_at_once_and_after_growing_pauses_where_it_is_lost_soon()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        (await world.Engines.LoadedAsync()).Held.Lose();
        var second = await world.Engines.LoadedAsync(); // no time passes

        second.Held.Lose();

        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).LastFailure is not null);
        world.Engines.Loads.ShouldBe(2);
        world.Capacity.Latest(World.Pool).LastFailure!.ShouldContain("lost 2 times in a row");
        await world.PassUntilAsync(() => world.Engines.Loads == 3);
        world.Loops.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task An_engine_that_hangs_is_abandoned_and_another_serves()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        var hung = await world.Engines.LoadedAsync();
        hung.Held.IgnoresStops = true;
        var session = await world.AcceptAsync();
        var request = TestRequests.New();
        await world.Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        var begun = await world.Log.BeginAsync(request.Id, 1, Guid.NewGuid(), Token);
        session.TrySend(new DispatcherMessage.Assign(new Assignment(request, begun.Fence, begun.LastSequence, begun.Output))).ShouldBeTrue();
        await hung.Held.AskedAsync(1);

        session.TrySend(new DispatcherMessage.Cancel(request.Id));

        await world.PassUntilAsync(() => world.Engines.Loads == 2);
        world.Loops.Failures.ShouldContain(failure => failure.Loop == "replica" && failure.Exception is EngineHungException);
        hung.Held.Release();
    }

    [Fact]
    public async Task Scaling_to_what_there_is_already_begins_nothing_and_scaling_down_drains_the_newest()
    {
        await using var world = new World();
        for (var time = 0; time < 5; time++) await world.Replicas.ScaleAsync(World.Pool, 2, Token);
        var first = await world.Engines.LoadedAsync();
        var second = await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 2);

        await world.Replicas.ScaleAsync(World.Pool, 1, Token);

        await world.PassUntilAsync(() => first.IsDisposed || second.IsDisposed);
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool) is { Ready: 1, Draining: 0 });
        world.Engines.Loads.ShouldBe(2);
        world.Loops.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_worker_whose_replica_ends_unasked_is_not_ready_and_stops_its_process()
    {
        await using var world = new World();
        using var service = world.Service();
        await service.StartAsync(Token);
        var engine = await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => service.IsReady);

        engine.Dies();

        await world.Loops.FailedAsync();
        world.Loops.Failures.Single().Pause.ShouldBeNull("the process stops");
        await world.PassUntilAsync(() => !service.IsReady);
        service.Phase.ShouldBe(ReplicaPhase.Draining);
        await service.StopAsync(Token);
    }

    [Fact]
    public async Task A_worker_that_is_told_to_stop_drains_and_nothing_failed()
    {
        await using var world = new World();
        using var service = world.Service();
        await service.StartAsync(Token);
        await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => service.IsReady);

        var stopping = service.StopAsync(Token);
        await world.PassUntilAsync(() => stopping.IsCompleted);

        await stopping;
        world.Loops.Failures.ShouldBeEmpty();
    }

    /// <summary>Deliver 5: a changed pool rolls; the flavor's params are what the test changes.</summary>
    [Fact]
    public async Task Replicas_of_a_changed_pool_are_replaced_one_after_the_other_and_an_old_one_drains_once_a_new_one_is_ready()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 2, Token);
        var old = new[] { await world.Engines.LoadedAsync(), await world.Engines.LoadedAsync() };
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 2);

        var held = world.Engines.Hold();
        world.Change(("slots", "3"));
        await world.PassUntilAsync(() => world.Engines.Loads == 3);
        await world.PassAsync(5);
        world.Engines.Loads.ShouldBe(3, "one after the other");
        old.ShouldAllBe(engine => !engine.IsDisposed);
        world.Capacity.Latest(World.Pool).Ready.ShouldBe(2);

        held.SetResult();
        await world.PassUntilAsync(() => old.All(engine => engine.IsDisposed));
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool) is { Ready: 2, Draining: 0, LoadingSince.Count: 0 });
        world.Engines.Loads.ShouldBe(4);
        world.Engines.Pools.Skip(2).ShouldAllBe(pool => pool.Flavor.Params["slots"] == "3");
        world.Loops.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task While_the_new_one_fails_to_load_the_old_ones_serve_on_and_a_mended_change_rolls()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        var old = await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 1);

        world.Engines.Fails = true;
        world.Change(("slots", "3"));
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).LastFailure is not null);
        await world.PassAsync(60);
        (old.IsDisposed, world.Capacity.Latest(World.Pool).Ready).ShouldBe((false, 1));

        world.Engines.Fails = false;
        world.Change(("slots", "4"));
        await world.PassUntilAsync(() => old.IsDisposed);

        // One that was begun with the change before may still load, and is rolled then.
        await world.PassUntilAsync(() => world.Engines.Pools[^1].Flavor.Params["slots"] == "4" && world.Capacity.Latest(World.Pool) is { Ready: 1, Draining: 0, LoadingSince.Count: 0 });
    }

    /// <summary>As HttpClient does with a connection that nobody answers: it is no end that anybody asked for.</summary>
    [Fact]
    public async Task A_load_that_is_cancelled_by_itself_is_a_failure_and_tried_again()
    {
        await using var world = new World();
        (world.Engines.Fails, world.Engines.CancelsItself) = (true, true);
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).LastFailure is not null);

        world.Engines.Fails = false;

        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 1);
        world.Loops.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task Bounds_cooldowns_and_prices_roll_nothing()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 1);

        world.Change(model => model with { Scaling = new ScalingConfig { MaxReplicas = 9, Cooldown = TimeSpan.FromSeconds(3) }, OwnedBy = "another" });
        await world.PassAsync(5);
        world.Change((Flavor.PriceParam, "3"));
        await world.PassAsync(5);

        world.Engines.Loads.ShouldBe(1);
    }

    [Fact]
    public async Task A_pool_that_the_catalogue_has_no_longer_goes_to_zero_and_may_be_told_so()
    {
        await using var world = new World();
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        var engine = await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 1);

        world.Catalog.Current = TestCatalog.CatalogOf();
        await world.Replicas.ScaleAsync(World.Pool, 0, Token);
        await world.Replicas.ScaleAsync(World.Pool, 3, Token); // by whoever has not heard of it

        await world.PassUntilAsync(() => engine.IsDisposed);
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool) is { Desired: 0, Ready: 0, Draining: 0 });
        world.Engines.Loads.ShouldBe(1);
        await Should.ThrowAsync<ArgumentException>(async () => await world.Replicas.ScaleAsync(new PoolName("never-there"), 1, Token));
    }

    [Fact]
    public async Task A_worker_whose_pool_changed_says_so_and_serves_on()
    {
        await using var world = new World();
        using var service = world.Service();
        await service.StartAsync(Token);
        await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => service.IsReady);

        world.Change(("slots", "3"));
        await world.PassUntilAsync(() => world.WorkerLog.Collector.Count > 0);

        world.WorkerLog.LatestRecord.Message.ShouldContain("goes on with what it loaded");
        service.IsReady.ShouldBeTrue();
        world.Loops.Failures.ShouldBeEmpty();
        var stopping = service.StopAsync(Token);
        await world.PassUntilAsync(() => stopping.IsCompleted);
    }

    [Fact]
    public async Task A_worker_whose_pool_is_gone_ends_what_runs_and_then_its_process()
    {
        await using var world = new World();
        using var service = world.Service();
        await service.StartAsync(Token);
        var engine = await world.Engines.LoadedAsync();
        await world.PassUntilAsync(() => service.IsReady);
        var session = await world.AcceptAsync();
        var request = TestRequests.New();
        await world.Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        var begun = await world.Log.BeginAsync(request.Id, 1, Guid.NewGuid(), Token);
        session.TrySend(new DispatcherMessage.Assign(new Assignment(request, begun.Fence, begun.LastSequence, begun.Output))).ShouldBeTrue();
        await engine.Held.AskedAsync(1);

        world.Catalog.Current = TestCatalog.CatalogOf();
        await world.PassAsync(10);
        world.Loops.Failures.ShouldBeEmpty("something runs");
        session.TrySend(new DispatcherMessage.Drain());
        engine.Held.Finish(request.Id);

        await world.PassUntilAsync(() => !world.Loops.Failures.IsEmpty);
        var failure = world.Loops.Failures.Single();
        (failure.Loop, failure.Pause).ShouldBe(("replica", null));
        failure.Exception.Message.ShouldContain("is in the catalogue no longer");
        engine.IsDisposed.ShouldBeTrue();
        await service.StopAsync(Token);
    }

    [Fact]
    public async Task A_model_from_elsewhere_is_pulled_first_and_held_as_long_as_its_replica_is_there()
    {
        await using var world = new World();
        world.Change(model => model with { Source = new ModelSource("https", "models.example/m.gguf") });
        await world.Replicas.ScaleAsync(World.Pool, 1, Token);
        await world.PassUntilAsync(() => world.Models.Progress is not null);
        world.Models.Progress!.Report(0.43);
        var pulling = world.Capacity.Latest(World.Pool);
        (pulling.Pulling, pulling.LoadingProgress).ShouldBe((true, 0.43));
        world.Engines.Loads.ShouldBe(0);

        world.Models.Pulled("/cache/m.gguf");

        var engine = await world.Engines.LoadedAsync();
        world.Engines.Pools.Single().Model.Source.ShouldBe(new ModelSource("host", "/cache/m.gguf"));
        await world.PassUntilAsync(() => world.Capacity.Latest(World.Pool).Ready == 1);
        world.Capacity.Latest(World.Pool).Pulling.ShouldBeFalse();
        engine.Held.Lose();
        await world.Engines.LoadedAsync(); // what it holds is not pulled again
        world.Models.Held.ShouldBe(1);
        await world.Replicas.ScaleAsync(World.Pool, 0, Token);
        await world.PassUntilAsync(() => world.Models.Held == 0);
    }

    private sealed class World : IAsyncDisposable
    {
        private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(200);

        private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));
        private readonly MemoryWorkerSessions _sessions = new();
        private readonly ReplicaParts _parts;

        public World()
        {
            Log = new MemoryRequestLog(_time);
            Engines = new EngineFactory();
            var metrics = new WorkerMetrics(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());
            _parts = new ReplicaParts(new EngineCatalog([Engines]), Models, _sessions, Log, metrics, Loops, Options.Create(new WorkerOptions { Pool = Pool.Value }), _time, new OneLog(WorkerLog));
            Replicas = new LocalReplicas(Catalog, _parts, Capacity, new Supervisor(_time, Loops));
            _ = Replicas.StartAsync(Token);
        }

        public static PoolName Pool { get; } = TestCatalog.Of(TestRequests.Model).Current.Pools.First().Name;

        public TestCatalog Catalog { get; } = TestCatalog.Of(TestRequests.Model);

        /// <summary>What workers logged of their pools.</summary>
        public FakeLogger<WorkerService> WorkerLog { get; } = new();

        public MemoryRequestLog Log { get; }

        public EngineFactory Engines { get; }

        public HeldModels Models { get; } = new();

        public MemoryCapacityFeed Capacity { get; } = new();

        public RecordingLoops Loops { get; } = new();

        public LocalReplicas Replicas { get; }

        public WorkerService Service() => new(Options.Create(new WorkerOptions { Pool = Pool.Value }), Catalog, _parts, new Supervisor(_time, Loops));

        /// <summary>Gives the flavor other params.</summary>
        public void Change(params (string Name, string Value)[] parameters) =>
            Change(model => model with { Flavors = [.. model.Flavors.Select(flavor => flavor with { Params = parameters.ToDictionary(param => param.Name, param => param.Value) })] });

        public void Change(Func<Model, Model> change) => Catalog.Current = new ModelCatalog(TestCatalog.CatalogOf(TestRequests.Model).Models.Select(change));

        /// <summary>A worker that registers as ready.</summary>
        public async Task<IWorkerSession> AcceptAsync()
        {
            await foreach (var session in _sessions.AcceptAsync(TestRequests.Model, 1, Token))
            {
                if (!session.Worker.Loading) return session;
            }

            throw new InvalidOperationException("No worker came.");
        }

        /// <summary>Time passes until it is so.</summary>
        public Task PassUntilAsync(Func<bool> isSo) => _time.PassUntilAsync(isSo, "it is so", Step);

        public Task PassAsync(int seconds)
        {
            var end = _time.GetUtcNow() + TimeSpan.FromSeconds(seconds);
            return _time.PassUntilAsync(() => _time.GetUtcNow() >= end, "they have passed", Step);
        }

        public async ValueTask DisposeAsync()
        {
            var stopping = Replicas.StopAsync(Token);
            await PassUntilAsync(() => stopping.IsCompleted);
            await stopping;
            Replicas.Dispose();
            await _services.DisposeAsync();
        }
    }

    /// <summary>Models that are pulled as the test says.</summary>
    private sealed class HeldModels : IModelStore
    {
        private readonly TaskCompletionSource<string> _pulled = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _held;

        public int Held => Volatile.Read(ref _held);

        public IProgress<double>? Progress { get; private set; }

        public void Pulled(string path) => _pulled.SetResult(path);

        public async Task<HeldModel> HoldAsync(ModelSource source, IProgress<double> progress, CancellationToken cancellationToken)
        {
            Progress = progress;
            var path = await _pulled.Task.WaitAsync(cancellationToken);
            Interlocked.Increment(ref _held);
            return new HeldModel(path, new Hold(this));
        }

        private sealed class Hold(HeldModels owner) : IDisposable
        {
            public void Dispose() => Interlocked.Decrement(ref owner._held);
        }
    }

    /// <summary>Loads at once engines that the test holds.</summary>
    private sealed class EngineFactory : IEngineFactory
    {
        private readonly Channel<MortalEngine> _loaded = Channel.CreateBounded<MortalEngine>(100);
        private int _loads;
        private Task _hold = Task.CompletedTask;

        public int Loads => Volatile.Read(ref _loads);

        public bool Fails { get; set; }

        public bool CancelsItself { get; set; }

        /// <summary>Pools that engines were loaded for, in order.</summary>
        public List<Pool> Pools { get; } = [];

        /// <summary>Loads from now on wait for it.</summary>
        public TaskCompletionSource Hold()
        {
            var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _hold = hold.Task;
            return hold;
        }

        public EngineDescriptor Descriptor { get; } = new() { Name = "simulated", ReadsFile = true };

        public async Task<MortalEngine> LoadedAsync() => await _loaded.Reader.ReadAsync(Token).WithinLimitAsync();

        public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
        {
            lock (Pools) Pools.Add(pool);
            Interlocked.Increment(ref _loads);
            if (Fails) throw CancelsItself ? new TaskCanceledException("A connection took too long.") : new EngineLoadException("There is no such card.");

            await _hold.WaitAsync(cancellationToken);
            var engine = new MortalEngine();
            _loaded.Writer.TryWrite(engine);
            return engine;
        }
    }

    /// <summary>An engine that may take its replica with it.</summary>
    private sealed class MortalEngine : IEngine
    {
        private bool _dies;

        public HeldEngine Held { get; } = new();

        public bool IsDisposed { get; private set; }

        public string Name => Held.Name;

        public long KvCapacityTokens => Held.KvCapacityTokens;

        public int Slots => Held.Slots;

        public WorkerLoad Load => Held.Load;

        public Task Lost => Held.Lost;

        /// <summary>It is lost, and cannot even be put away.</summary>
        public void Dies()
        {
            _dies = true;
            Held.Lose();
        }

        public IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, CancellationToken cancellationToken) =>
            Held.GenerateAsync(request, output, cancellationToken);

        public ValueTask DisposeAsync()
        {
            IsDisposed = true;
            return _dies ? throw new InvalidOperationException("The driver is gone.") : ValueTask.CompletedTask;
        }
    }

    /// <summary>Hears of what workers say of their pools.</summary>
    private sealed class OneLog(ILogger<WorkerService> log) : ILoggerFactory
    {
        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => categoryName == typeof(WorkerService).FullName ? log : NullLogger.Instance;

        public void Dispose()
        {
        }
    }
}
