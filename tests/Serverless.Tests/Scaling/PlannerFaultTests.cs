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
    private readonly Supervisor _supervisor;

    public PlannerFaultTests() => (_leases, _supervisor) = (new MemoryLeases(_time), new Supervisor(_time, NoLoopObserver.Instance));

    public static TheoryData<string, Type> Faults
    {
        get
        {
            TheoryData<string, Type> faults = [];
            foreach (var call in (string[])["read", "write", "demand", "capacity", "acquire", "watch"])
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
        var faulty = new Faulty(_plans, _demand, _leases);
        await using var one = Scaler("one", faulty);
        _demand.Publish(Waiting());
        await one.UntilAsync(decision => decision.Active);

        faulty.Fails = (call, type);
        await PassAsync(3);
        await using var two = Scaler("two", new Faulty(_plans, _demand, _leases));
        await PassAsync(20);
        _demand.Publish(Waiting() with { PendingRequests = 0, RunningRequests = 1 });
        await PassAsync(2);

        var epoch = (await _plans.ReadAsync(CancellationToken.None))!;
        (_time.GetUtcNow() - epoch.At).ShouldBeLessThanOrEqualTo(TimeSpan.FromSeconds(2), $"somebody plans: one {one.Leads}, two {two.Leads}");
        (one.Leads && two.Leads).ShouldBeFalse();
        two.Plans.Latest(Pool)!.Active.ShouldBeTrue();

        faulty.Fails = default;
        await two.DisposeAsync();
        await PassAsync(90);

        one.Leads.ShouldBeTrue("it goes on by itself once its ports do");
        one.Plans.Age.ShouldNotBeNull().ShouldBeLessThanOrEqualTo(TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task A_lease_that_nothing_is_written_with_is_given_back()
    {
        var faulty = new Faulty(_plans, _demand, _leases);
        await using var one = Scaler("one", faulty);
        _demand.Publish(Waiting());
        await one.UntilAsync(decision => decision.Active);

        faulty.Fails = ("write", typeof(ServingException));
        await using var two = Scaler("two", new Faulty(_plans, _demand, _leases));
        await PassAsync(25);

        (one.Leads, two.Leads).ShouldBe((false, true));
    }

    private ModelDemand Waiting() => new() { Model = new ModelName("m"), At = _time.GetUtcNow(), PendingRequests = 1, PendingPromptTokens = 20 };

    /// <summary>Lets so many seconds pass, and everything that is due in each.</summary>
    private async Task PassAsync(int seconds)
    {
        for (var half = 0; half < 2 * seconds; half++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(500));
            for (var turn = 0; turn < 20; turn++) await Task.Yield();
            await Task.Yield();
        }
    }

    private RunningScaler Scaler(string name, Faulty faulty)
    {
        var options = new PlannerOptions();
        var believed = new BelievedDemand(faulty, _catalog, options, _time);
        var plans = new ScalePlans(_catalog, believed, _time);
        var writer = new PlanWriter(new PoolPlanner(options), options, believed, faulty, faulty, _time);
        return new RunningScaler(new LeasedPlanner(_catalog, believed, faulty, writer, _supervisor, name, _time), plans, new PlanFollower(faulty, plans, _catalog, _supervisor, _time));
    }

    /// <summary>All ports of a scaler, one call of which fails while told to.</summary>
    private sealed class Faulty(IPlanFeed plans, IDemandFeed demand, ILeases leases) : IPlanFeed, IDemandFeed, ICapacityFeed, ILeases
    {
        private readonly MemoryCapacityFeed _capacity = new();

        public (string Call, Type Type) Fails { get; set; }

        public ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> written, CancellationToken cancellationToken) => Call("write", () => plans.WriteAsync(epoch, at, written, cancellationToken));

        public ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken) => Call("read", () => plans.ReadAsync(cancellationToken));

        public IAsyncEnumerable<PlanUpdate> WatchAsync(CancellationToken cancellationToken) => Watch(plans.WatchAsync(cancellationToken), cancellationToken);

        public void Publish(ModelDemand published) => demand.Publish(published);

        public ModelDemand? Latest(ModelName model) => Call("demand", () => demand.Latest(model));

        public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => Watch(demand.WatchAsync(model, cancellationToken), cancellationToken);

        public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => Watch(demand.WatchAllAsync(cancellationToken), cancellationToken);

        public void Publish(PoolCapacity capacity) => _capacity.Publish(capacity);

        public PoolCapacity Latest(PoolName pool) => Call("capacity", () => _capacity.Latest(pool));

        public IAsyncEnumerable<PoolCapacity> WatchAsync(PoolName pool, CancellationToken cancellationToken) => _capacity.WatchAsync(pool, cancellationToken);

        public void Renew(DateTimeOffset now) => demand.Renew(now);

        public void Withdraw(ModelName model) => demand.Withdraw(model);

        public ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.AcquireAsync(name, holder, timeToLive, cancellationToken);

        public ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) =>
            Call("acquire", () => leases.AcquireAsync(names, holder, timeToLive, cancellationToken));

        public ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> held, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.RenewAsync(held, timeToLive, cancellationToken);

        public ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.RenewAsync(lease, timeToLive, cancellationToken);

        public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken) => leases.ReleaseAsync(lease, cancellationToken);

        public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken) => leases.ReadAsync(name, cancellationToken);

        public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken) => leases.ListAsync(prefix, cancellationToken);

        private T Call<T>(string call, Func<T> answer)
        {
            if (Fails.Call != call) return answer();
            throw Fails.Type == typeof(ServingException) ? new ServingException(new ServingFault(ServingError.StoreUnavailable, "away"))
                : Fails.Type == typeof(ObjectDisposedException) ? new ObjectDisposedException("store")
                : (Exception)Activator.CreateInstance(Fails.Type, "NOPERM")!;
        }

        private async IAsyncEnumerable<T> Watch<T>(IAsyncEnumerable<T> watched, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var one in watched.WithCancellation(cancellationToken)) yield return Call("watch", () => one);
        }
    }
}
