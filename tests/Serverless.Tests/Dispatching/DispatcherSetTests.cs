using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Gateway.Dispatching;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>Gateways that share the models of a catalogue by their leases.</summary>
public sealed class DispatcherSetTests
{
    private static readonly ModelName[] Models = [.. Enumerable.Range(0, 12).Select(number => new ModelName($"model-{number}"))];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Alone_a_gateway_takes_every_model_at_once_and_gives_them_back_when_it_stops()
    {
        await using var world = new World();
        var gateway = world.Start("a");
        await world.PassAsync(1);
        (await world.OwnersAsync()).Values.ShouldAllBe(owner => owner == "a");

        await gateway.StopAsync();

        (await world.OwnersAsync()).ShouldBeEmpty();
        (await world.Leases.ListAsync("", Token)).ShouldBeEmpty();
    }

    /// <summary>The store has granted them, and its answer is still on its way: whoever stops waits for it, or they would be nobody's until they run out.</summary>
    [Theory]
    [InlineData(LeaseNames.Gateways)]
    [InlineData(LeaseNames.Dispatchers)]
    public async Task Leases_that_are_granted_while_it_stops_are_given_back(string late)
    {
        var clock = new TestClock(TestRequests.Deadline.AddMinutes(-10));
        var store = new MemoryLeases(clock);
        var slow = new SlowLeases(store, late);
        var loops = new RecordingLoops();
        var ports = new DispatchPorts(new CountingQueue(), new MemoryRequestLog(clock), new MemoryWorkerSessions(), slow, new MemoryDemandFeed(), [], new SilentObserver(), clock);
        using var stop = new CancellationTokenSource();
        var running = new DispatcherSet(new GatewayIdentity("a", "a"), TestCatalog.Of(Models), ports, new Supervisor(clock, loops), loops).RunAsync(stop.Token);
        await slow.GrantedAsync(LeaseNames.Gateway("a"));
        if (late == LeaseNames.Dispatchers) await slow.GrantedAsync(LeaseNames.Dispatcher(Models[0]));
        (await store.ListAsync(late, Token)).Count.ShouldBe(late == LeaseNames.Dispatchers ? Models.Length : 1);

        await stop.CancelAsync();
        slow.Answer();
        await running.WithinLimitAsync();

        (await store.ListAsync("", Token)).ShouldBeEmpty();
        loops.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task Models_move_to_a_gateway_that_has_proved_to_stay_and_spread_by_rank()
    {
        await using var world = new World();
        world.Start("a");
        await world.PassAsync(1);
        world.Start("b");
        await world.PassAsync(30);
        (await world.OwnersAsync()).Values.ShouldAllBe(owner => owner == "a");

        await world.PassAsync(45);

        var owners = await world.OwnersAsync();
        owners.Count.ShouldBe(Models.Length);
        foreach (var model in Models) owners[model].ShouldBe(Rendezvous.Rank(model.Value, "a", ["a", "b"]) == 0 ? "a" : "b");
        owners.Values.Distinct().Count().ShouldBe(2);
    }

    [Fact]
    public async Task The_models_of_a_gateway_that_stops_are_taken_at_once_and_with_higher_epochs()
    {
        await using var world = new World();
        var first = world.Start("a");
        await world.PassAsync(1);
        world.Start("b");
        await world.PassAsync(5);
        var before = await world.Leases.ReadAsync(LeaseNames.Dispatcher(Models[0]), Token);

        await first.StopAsync();
        await world.PassAsync(4);

        (await world.OwnersAsync()).Count(owner => owner.Value == "b").ShouldBe(Models.Length);
        (await world.Leases.ReadAsync(LeaseNames.Dispatcher(Models[0]), Token))!.Epoch.ShouldBeGreaterThan(before!.Epoch);
    }

    [Fact]
    public async Task The_models_of_a_gateway_that_is_lost_are_taken_within_15_seconds()
    {
        await using var world = new World();
        var lost = world.Start("a");
        await world.PassAsync(1);
        world.Start("b");
        await world.PassAsync(5);

        lost.Leases.Away = true; // as seen from outside, a process that was killed
        await world.PassAsync(15);

        (await world.OwnersAsync()).Count(owner => owner.Value == "b").ShouldBe(Models.Length);
    }

    [Fact]
    public async Task A_dispatcher_that_cannot_renew_stops_consuming_before_another_can_have_the_lease()
    {
        await using var world = new World();
        var gateway = world.Start("a");
        await world.PassAsync(4);
        await world.ConsumingAsync(Models.Length);

        gateway.Leases.Away = true;
        await world.PassUntilAsync(async () => (await world.OwnersAsync()).Count < Models.Length, within: 10);

        await world.ConsumingAsync(0);
    }

    [Fact]
    public async Task A_gateway_that_lost_sight_of_leases_which_the_store_holds_for_it_dispatches_again_as_soon_as_it_sees()
    {
        await using var world = new World();
        var gateway = world.Start("a");
        await world.PassAsync(4);
        await world.ConsumingAsync(Models.Length);

        gateway.Leases.Deaf = true;
        await world.PassAsync(15);
        await world.ConsumingAsync(0);
        (await world.OwnersAsync()).Count.ShouldBe(Models.Length, "the store has them still");
        await world.PassUntilAsync(() => Task.FromResult(!Models.Any(gateway.Set.Dispatches)), within: 20); // they end a moment after they have stopped
        gateway.Leases.Deaf = false;
        await world.PassUntilAsync(() => Task.FromResult(Models.All(gateway.Set.Dispatches)), within: 20); // the store would hold them for a minute

        await world.ConsumingAsync(Models.Length);
    }

    [Fact]
    public async Task Models_that_appear_and_vanish_are_followed()
    {
        await using var world = new World();
        world.Start("a");
        await world.PassAsync(1);
        await world.ConsumingAsync(Models.Length); // a dispatcher that has not begun yet holds work for all one knows, and is left to end by itself
        var added = new ModelName("added");

        world.Catalog.Current = TestCatalog.CatalogOf([added, .. Models[1..]]);
        await world.PassAsync(2);

        var owners = await world.OwnersAsync();
        owners.ShouldContainKey(added);
        owners.ShouldNotContainKey(Models[0]);
        await world.ConsumingAsync(Models.Length);
    }

    /// <summary>Gateways over one store of leases. Their queue counts who consumes.</summary>
    /// <summary>Names that come and go, of a CI say, must not become series for the process' life.</summary>
    [Fact]
    public async Task Of_a_model_that_is_gone_no_figure_is_told()
    {
        await using var world = new World();
        var gateway = world.Start("a");
        await world.PassAsync(1);
        await using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = services.GetRequiredService<IMeterFactory>();
        _ = new ModelMetrics(meters, gateway.Set, world.Catalog, new MemoryDemandFeed());
        using var replicas = new MetricCollector<long>(meters, DispatchMetrics.MeterName, "serverless.pool.replicas");
        Told().Count.ShouldBe(Models.Length);

        world.Catalog.Current = TestCatalog.CatalogOf(Models[0]);
        await world.PassUntilAsync(async () => (await world.OwnersAsync()).Count == 1, within: 60);

        Told().ShouldBe([Models[0].Value]);

        List<string> Told()
        {
            replicas.Clear();
            replicas.RecordObservableInstruments();
            return [.. replicas.GetMeasurementSnapshot().Select(measured => (string)measured.Tags["model"]!).Distinct(StringComparer.Ordinal)];
        }
    }

    private sealed class World : IAsyncDisposable
    {
        private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));
        private readonly List<Process> _processes = [];

        public World() => Leases = new MemoryLeases(_time);

        public MemoryLeases Leases { get; }

        public TestCatalog Catalog { get; } = TestCatalog.Of(Models);

        public RecordingLoops Loops { get; } = new();

        private CountingQueue Queue { get; } = new();

        public Process Start(string name)
        {
            var leases = new WatchedLeases(Leases);
            var ports = new DispatchPorts(Queue, new MemoryRequestLog(_time), new MemoryWorkerSessions(), leases, new MemoryDemandFeed(), [], new SilentObserver(), _time);
            var process = new Process(leases, new DispatcherSet(new GatewayIdentity(name, name), Catalog, ports, new Supervisor(_time, Loops), Loops));
            _processes.Add(process);
            return process;
        }

        public async Task PassAsync(int seconds)
        {
            for (; seconds > 0; seconds--) await WatchedLeases.TickAsync(_time, [.. _processes.Where(process => process.Runs).Select(process => process.Leases)]);
        }

        /// <summary>Lets time pass until that is so. In each second whoever is behind gets its turn: the next one would not wait for it.</summary>
        public async Task PassUntilAsync(Func<Task<bool>> isSo, int within)
        {
            for (var second = 0; second < within && !await isSo(); second++)
            {
                await PassAsync(1);
                await TestTimeouts.WaitAsync(TestTimeouts.Turn);
            }
        }

        /// <summary>Who dispatches what, once the looks under way are over: a look takes all it takes before the next one.</summary>
        public async Task<Dictionary<ModelName, string>> OwnersAsync()
        {
            await PassAsync(1);
            return (await Leases.ListAsync("dispatcher/", Token)).ToDictionary(lease => new ModelName(lease.Name["dispatcher/".Length..]), lease => lease.Holder);
        }

        public Task ConsumingAsync(int models) => Queue.ReachAsync(models).WithinLimitAsync();

        public async ValueTask DisposeAsync()
        {
            foreach (var process in _processes) await process.DisposeAsync();
        }
    }

    private sealed class Process : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public Process(WatchedLeases leases, DispatcherSet set) => (Leases, Set, _running) = (leases, set, set.RunAsync(_stop.Token));

        public DispatcherSet Set { get; }

        public WatchedLeases Leases { get; }

        public bool Runs => !_running.IsCompleted;

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
    }

    private sealed class CountingQueue : IRequestQueue
    {
        private readonly Lock _lock = new();
        private readonly Dictionary<int, TaskCompletionSource> _waits = [];
        private int _consuming;

        public Task ReachAsync(int count)
        {
            lock (_lock)
            {
                if (_consuming == count) return Task.CompletedTask;
                if (!_waits.TryGetValue(count, out var wait)) _waits[count] = wait = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                return wait.Task;
            }
        }

        public async IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            Count(1);
            try
            {
                await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            }
            finally
            {
                Count(-1);
            }

            yield break;
        }

        public ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public async IAsyncEnumerable<ModelName> WatchArrivalsAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            yield break;
        }

        public ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken) => throw new NotSupportedException();

        private void Count(int change)
        {
            lock (_lock)
            {
                _consuming += change;
                if (_waits.Remove(_consuming, out var wait)) wait.SetResult();
            }
        }
    }

    private sealed class SilentObserver : IDispatchObserver
    {
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

    }
}
