using System.Runtime.CompilerServices;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.Tests.Scaling;

/// <summary>Whatever a port throws, and at whichever call: the lease is not kept for planning that is dead, another scaler can go on, and so can this one.</summary>
public sealed class PlannerFaultTests
{
    private readonly TestClock _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestCatalog _catalog = TestCatalog.Of(new ModelName("m"));
    private readonly MemoryDemandFeed _demand = new();
    private readonly MemoryPlanFeed _plans = new();
    private readonly MemoryLeases _leases;
    private readonly Deeds _deeds = new();
    private readonly Supervisor _supervisor;
    private PlanUpdate _written = new(0, 0, DateTimeOffset.MinValue, []);

    public PlannerFaultTests() => (_leases, _supervisor) = (new MemoryLeases(_time), new Supervisor(_time, NoLoopObserver.Instance));

    public static TheoryData<string, Type> Faults
    {
        get
        {
            TheoryData<string, Type> faults = [];
            foreach (var call in (string[])["read", "write", "demand", "capacity", "acquire", "renew", "watch"])
            {
                foreach (var type in (Type[])[typeof(ServingException), typeof(InvalidOperationException), typeof(TimeoutException), typeof(OperationCanceledException), typeof(ObjectDisposedException)]) faults.Add(call, type);
            }

            return faults;
        }
    }

    private static PoolName Pool => PoolName.Of(new ModelName("m"), "cpu");

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Planning_goes_on_after_any_fault_of_any_port_here_or_elsewhere(string call, Type type)
    {
        var (faulty, healthy) = (new Faulty(_plans, _demand, _leases, _deeds), new Faulty(_plans, _demand, _leases, _deeds) { Refuses = true });
        await using var one = Scaler("one", faulty);
        await using var two = Scaler("two", healthy);
        await UntilAsync(() => one.Leads && _written.At > default(DateTimeOffset), "the first plans");

        (faulty.Fails, healthy.Refuses) = ((call, type), false);
        var faultAt = _time.GetUtcNow();
        await UntilAsync(() => _written.At > faultAt.AddSeconds(5), $"somebody plans in spite of {call}: {type.Name}");
        if (call is "write" or "demand" or "capacity") await UntilAsync(() => two.Leads && !one.Leads, "the one that cannot plan gives its lease back");

        (faulty.Fails, healthy.Refuses) = (default, true);
        await _leases.ReleaseAsync(healthy.Held ?? new Lease("none", "two", 0), CancellationToken.None);
        var mendedAt = _time.GetUtcNow();
        await UntilAsync(() => one.Leads && _written.At > mendedAt.AddSeconds(5), "it goes on by itself once its ports do");

        two.Plans.Latest(Pool)!.Active.ShouldBeTrue();
    }

    private ModelDemand Waiting() => new() { Model = new ModelName("m"), At = _time.GetUtcNow(), PendingRequests = 1, PendingPromptTokens = 20 };

    /// <summary>Lets time pass until it is so: a second, and then what a scaler does in it. In each second one of them asks for the lease, renews it, writes, or fails at one of these.</summary>
    private async Task UntilAsync(Func<bool> done, string why)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        try
        {
            while (!done())
            {
                _demand.Publish(Waiting()); // as a dispatcher does, for as long as work waits
                var next = _deeds.Next;
                _time.Advance(TimeSpan.FromSeconds(1));
                await next.WaitAsync(limit.Token);
                if (await _plans.ReadAsync(CancellationToken.None) is { } read) _written = read;
            }
        }
        catch (OperationCanceledException exception)
        {
            throw new TimeoutException($"{why}: {_written.At:HH:mm:ss} was written last, it is {_time.GetUtcNow():HH:mm:ss}; {string.Join(", ", _supervisor.Loops.Where(loop => loop.Failures > 0))}; lease {await _leases.ReadAsync(LeaseNames.Planner, CancellationToken.None)}", exception);
        }
    }

    private RunningScaler Scaler(string name, Faulty faulty)
    {
        var options = new PlannerOptions();
        var believed = new BelievedDemand(faulty, _catalog, options, _time);
        var plans = new ScalePlans(_catalog, believed, _time);
        var writer = new PlanWriter(new PoolPlanner(options), options, believed, faulty, faulty, _time);
        return new RunningScaler(new LeasedPlanner(_catalog, believed, faulty, writer, _supervisor, name, _time), plans, new PlanFollower(faulty, plans, believed, _supervisor, _time));
    }

    /// <summary>What scalers do to their stores. Thread-safe.</summary>
    private sealed class Deeds
    {
        private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Ends with the next one from now on.</summary>
        public Task Next => Volatile.Read(ref _next).Task;

        public void Add() => Interlocked.Exchange(ref _next, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    /// <summary>All ports of a scaler, one call of which fails while told to.</summary>
    private sealed class Faulty(IPlanFeed plans, IDemandFeed demand, ILeases leases, Deeds deeds) : IPlanFeed, IDemandFeed, ICapacityFeed, ILeases
    {
        private readonly MemoryCapacityFeed _capacity = new();

        public (string Call, Type Type) Fails { get; set; }

        /// <summary>Whether it gets no lease.</summary>
        public bool Refuses { get; set; }

        /// <summary>The last lease it got.</summary>
        public Lease? Held { get; private set; }

        public async ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> written, CancellationToken cancellationToken)
        {
            var isLatest = await Call("write", () => plans.WriteAsync(epoch, at, written, cancellationToken));
            deeds.Add();
            return isLatest;
        }

        public ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken) => Call("read", () => plans.ReadAsync(cancellationToken));

        public IAsyncEnumerable<PlanUpdate> WatchAsync(CancellationToken cancellationToken) => Watch(plans.WatchAsync(cancellationToken), cancellationToken);

        public void Publish(ModelDemand published) => demand.Publish(published);

        public ModelDemand? Latest(ModelName model) => Call("demand", () => demand.Latest(model));

        public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => Watch(demand.WatchAsync(model, cancellationToken), cancellationToken);

        public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => Watch(demand.WatchAllAsync(cancellationToken), cancellationToken);

        public void Publish(PoolCapacity capacity) => _capacity.Publish(capacity);

        public PoolCapacity Latest(PoolName pool) => Call("capacity", () => _capacity.Latest(pool));

        public IAsyncEnumerable<PoolCapacity> WatchAsync(PoolName pool, CancellationToken cancellationToken) => _capacity.WatchAsync(pool, cancellationToken);

        public ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.AcquireAsync(name, holder, timeToLive, cancellationToken);

        public async ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken)
        {
            var got = Refuses ? [] : await Call("acquire", () => leases.AcquireAsync(names, holder, timeToLive, under, cancellationToken));
            if (got.Count > 0) Held = got[0];
            deeds.Add();
            return got;
        }

        public ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.RenewAsync(lease, timeToLive, cancellationToken);

        public async ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> held, TimeSpan timeToLive, CancellationToken cancellationToken)
        {
            var still = await Call("renew", () => leases.RenewAsync(held, timeToLive, cancellationToken));
            deeds.Add();
            return still;
        }

        public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken) => leases.ReleaseAsync(lease, cancellationToken);

        public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken) => leases.ReadAsync(name, cancellationToken);

        public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken) => leases.ListAsync(prefix, cancellationToken);

        public void Renew(DateTimeOffset now) => demand.Renew(now);

        public void Withdraw(ModelName model) => demand.Withdraw(model);

        private T Call<T>(string call, Func<T> answer)
        {
            if (Fails.Call != call) return answer();
            deeds.Add();
            throw Fails.Type == typeof(ServingException) ? new ServingException(new ServingFault(ServingError.StoreUnavailable, "away"))
                : Fails.Type == typeof(ObjectDisposedException) ? new ObjectDisposedException("store")
                : (Exception)Activator.CreateInstance(Fails.Type, "NOPERM this user has no permissions")!;
        }

        private async IAsyncEnumerable<T> Watch<T>(IAsyncEnumerable<T> watched, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var one in watched.WithCancellation(cancellationToken)) yield return Call("watch", () => one);
        }
    }
}
