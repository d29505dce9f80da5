using System.Runtime.CompilerServices;
using System.Threading.Channels;
using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Serverless.Tests.Dispatching;
using Shouldly;

namespace Serverless.Tests.Scaling;

/// <summary>One plan for many scalers: who writes it, who serves it, and what is answered when nobody plans or nobody speaks.</summary>
public sealed class LeasedPlannerTests
{
    private readonly TestClock _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly TestCatalog _catalog = TestCatalog.Of(new ModelName("m"));
    private readonly MemoryDemandFeed _demand = new();
    private readonly MemoryCapacityFeed _capacity = new();
    private readonly MemoryPlanFeed _plans = new();
    private readonly MemoryLeases _leases;
    private readonly DepthOnly _queue = new();

    private readonly Supervisor _supervisor;

    public LeasedPlannerTests() => (_leases, _supervisor) = (new MemoryLeases(_time), new Supervisor(_time, NoLoopObserver.Instance));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static PoolName Pool => PoolName.Of(new ModelName("m"), "cpu");

    [Fact]
    public async Task All_scalers_answer_alike_and_one_of_them_plans()
    {
        await using var one = Scaler("one");
        await using var two = Scaler("two");
        Publish(pending: 20);

        await one.UntilAsync(decision => decision.Active);
        await two.UntilAsync(decision => decision.Active);

        (one.Leads, two.Leads).ShouldBeOneOf((true, false), (false, true));
        Answer(one).ShouldBe(Answer(two)); // one may have it from the plan, and the other from the work itself

        static (int, bool) Answer(RunningScaler scaler) => scaler.Plans.Latest(Pool) is { } decision ? (decision.Replicas, decision.Active) : default;
    }

    [Fact]
    public async Task Another_goes_on_from_the_last_memory_within_the_leases_time()
    {
        var lease = (await _leases.AcquireAsync(LeaseNames.Planner, "one", TimeSpan.FromSeconds(6), Token))!;
        Publish(pending: 20);
        await Writer().WriteAsync(lease.Epoch, _catalog.Current, null, Token);
        var memory = (await _plans.ReadAsync(Token))!.Plans.Single().Memory;
        memory.LastHadWork.ShouldBeTrue();
        await using var two = Scaler("two");
        (await two.UntilAsync(decision => decision.Active)).Replicas.ShouldBe(1);
        two.Leads.ShouldBeFalse("the lease has not run out");

        _time.Advance(TimeSpan.FromSeconds(7));
        await PlannedAfterAsync(lease.Epoch);

        two.Leads.ShouldBeTrue();
        var plan = (await _plans.ReadAsync(Token))!.Plans.Single();
        plan.Decisions[0].Active.ShouldBeTrue("demand is stale by now, so the new planner holds by what the old one remembered");
        plan.Memory.LastWorkAt.ShouldBe(memory.LastWorkAt);
    }

    /// <summary>The round of every second looks at models that are awake: one at rest that is named while it is due is planned with them.</summary>
    [Fact]
    public async Task Work_that_comes_while_a_round_is_due_is_planned_in_it()
    {
        var (plans, demand) = (new HeldPlans(_plans), new ToldDemand(_demand));
        var believed = new BelievedDemand(demand, _catalog, new PlannerOptions(), _time, _queue);
        var writer = new PlanWriter(new PoolPlanner(new PlannerOptions()), new PlannerOptions(), believed, _capacity, plans, _time);
        using var stop = new CancellationTokenSource();
        var running = new LeasedPlanner(_catalog, believed, _leases, writer, _supervisor, "one", _time).RunAsync(stop.Token);
        for (var round = 0; round < 3; round++)
        {
            (await plans.NextAsync()).Go();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        var held = await plans.NextAsync();
        held.Plans.ShouldBeEmpty("the model rests");
        Publish(pending: 20);
        await demand.ToldAsync(20);
        _time.Advance(TimeSpan.FromSeconds(1));
        held.Go();

        var next = await plans.NextAsync();
        next.Plans.ShouldHaveSingleItem().Decisions[0].Active.ShouldBeTrue();
        next.Go();
        await stop.CancelAsync();
        await running.WithinLimitAsync();
    }

    /// <summary>It stops, or has waited long enough, while the store's answer is on its way: the lease it got all the same is given back before it has ended.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lease_that_comes_too_late_is_given_back(bool waited)
    {
        var slow = new SlowLeases(_leases, LeaseNames.Planner);
        using var stop = new CancellationTokenSource();
        var running = new LeasedPlanner(_catalog, Believed(), slow, Writer(), _supervisor, "one", _time).RunAsync(stop.Token);
        await slow.GrantedAsync(LeaseNames.Planner);

        if (waited) _time.Advance(TimeSpan.FromSeconds(3));
        await stop.CancelAsync();
        slow.Answer();
        await running.WithinLimitAsync();

        (await _leases.ReadAsync(LeaseNames.Planner, Token)).ShouldBeNull();
    }

    [Fact]
    public async Task A_planner_that_was_only_paused_changes_nothing_any_more()
    {
        var writer = Writer();
        (await writer.WriteAsync(1, _catalog.Current, null, Token)).ShouldBeTrue();
        (await Writer().WriteAsync(2, _catalog.Current, null, Token)).ShouldBeTrue();
        Publish(pending: 20);

        (await writer.WriteAsync(1, _catalog.Current, null, Token)).ShouldBeFalse();

        (await _plans.ReadAsync(Token))!.Plans.Single().Decisions[0].Active.ShouldBeFalse();
    }

    [Fact]
    public async Task A_scaler_that_was_stopped_and_wakes_reads_before_it_answers()
    {
        var (plans, follower) = Follower();
        var writer = Writer();
        await TakeAsync(plans, writer);
        await TakeAsync(plans, writer);
        Publish(pending: 20);
        await writer.WriteAsync(1, _catalog.Current, null, Token);
        _time.Advance(TimeSpan.FromSeconds(30));
        Publish(pending: 0);
        await writer.WriteAsync(1, _catalog.Current, null, Token);
        Publish(pending: 20);
        await writer.WriteAsync(1, _catalog.Current, null, Token);

        await follower.FreshAsync();

        plans.Latest(Pool)!.Active.ShouldBeTrue();
        plans.Age.ShouldBe(TimeSpan.Zero);
    }

    [Fact]
    public async Task An_update_that_comes_late_does_not_undo_a_newer_one()
    {
        var (plans, _) = Follower();
        var writer = Writer();
        await writer.WriteAsync(1, _catalog.Current, null, Token);
        var old = (await _plans.ReadAsync(Token))!;
        Publish(pending: 20);
        await TakeAsync(plans, writer);

        plans.Take(old).ShouldBeFalse();

        plans.Latest(Pool)!.Active.ShouldBeTrue();
    }

    [Fact]
    public async Task When_dispatchers_are_silent_the_broker_is_asked_and_its_requests_count_as_the_mean_one()
    {
        var believed = Believed();
        believed.Learn(new ModelName("m"), new RequestMean(1000, 100));
        Publish(pending: 0);
        _queue.Requests = 12;
        await believed.AskAsync(Token);
        believed.Latest(new ModelName("m"))!.PendingRequests.ShouldBe(0, "the dispatcher speaks");

        _time.Advance(TimeSpan.FromSeconds(6));
        await believed.AskAsync(Token);

        var demand = believed.Latest(new ModelName("m"))!;
        (demand.PendingRequests, demand.PendingPromptTokens, demand.PendingOutputTokens, demand.At).ShouldBe((12, 12_000, 1200, _time.GetUtcNow()));
        Publish(pending: 20);
        believed.Latest(new ModelName("m"))!.PendingPromptTokens.ShouldBe(20, "the dispatcher is back");
    }

    [Fact]
    public async Task A_broker_that_cannot_be_reached_leaves_the_plan_as_it_is()
    {
        var (plans, _) = Follower();
        var believed = Believed();
        var writer = new PlanWriter(new PoolPlanner(new PlannerOptions()), new PlannerOptions(), believed, _capacity, _plans, _time);
        Publish(pending: 20);
        await TakeAsync(plans, writer);
        _queue.Away = true;

        _time.Advance(TimeSpan.FromHours(1));
        await believed.AskAsync(Token);
        await TakeAsync(plans, writer);

        plans.Latest(Pool)!.Active.ShouldBeTrue();
        plans.Latest(Pool)!.Replicas.ShouldBe(1);
    }

    /// <summary>The latch: whatever was planned, taken, lost or said late, work that the youngest demand holds is not answered with zero.</summary>
    [Fact]
    public void Work_that_is_known_is_never_answered_with_zero() =>
        Gen.Select(Gen.Int[0, 6], Gen.Int[-3, 10], Gen.Int[-5, 40]).Array[1, 40].Sample(steps =>
        {
            var scene = new LeasedPlannerTests();
            var (plans, _) = scene.Follower();
            var writer = scene.Writer();
            foreach (var (what, seconds, pending) in steps)
            {
                if (seconds > 0) scene._time.Advance(TimeSpan.FromSeconds(seconds));
                else if (seconds < 0) scene._time.Set(scene._time.GetUtcNow().AddSeconds(seconds));

                switch (what)
                {
                    case 0 or 1 or 2:
                        scene._time.Advance(TimeSpan.FromMilliseconds(1));
                        scene.Publish(pending);
                        break;
                    case 3:
                        writer = scene.Writer();
                        break;
                    case 4:
                        (plans, _) = scene.Follower();
                        break;
                    default:
                        Write(scene, plans, writer, take: what == 5);
                        break;
                }

                var demand = scene._demand.Latest(new ModelName("m"));
                var answer = plans.Latest(Pool);
                if (demand is { HasWork: true } && (plans.TakenAt is null || demand.At > plans.TakenAt)) answer.ShouldNotBeNull().ShouldSatisfyAllConditions(one => one.Active.ShouldBeTrue(), one => one.Replicas.ShouldBeGreaterThan(0));
                answer?.Replicas.ShouldBeInRange(0, 1);
            }
        });

    private static void Write(LeasedPlannerTests scene, ScalePlans plans, PlanWriter writer, bool take)
    {
        // The memory feed answers at once.
        writer.WriteAsync(1, scene._catalog.Current, null, CancellationToken.None).AsTask().IsCompletedSuccessfully.ShouldBeTrue();
        var read = scene._plans.ReadAsync(CancellationToken.None).AsTask();
        if (take && read.IsCompletedSuccessfully) plans.Take(read.GetAwaiter().GetResult()!);
    }

    private async Task PlannedAfterAsync(long epoch)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        await foreach (var update in _plans.WatchAsync(limit.Token))
        {
            if (update.Epoch > epoch) return;
        }
    }

    private async Task TakeAsync(ScalePlans plans, PlanWriter writer)
    {
        await writer.WriteAsync(1, _catalog.Current, null, Token);
        plans.Take((await _plans.ReadAsync(Token))!);
    }

    private void Publish(int pending) => _demand.Publish(new ModelDemand { Model = new ModelName("m"), At = _time.GetUtcNow(), PendingRequests = pending > 0 ? 1 : pending, PendingPromptTokens = pending });

    private BelievedDemand Believed() => new(_demand, _catalog, new PlannerOptions(), _time, _queue);

    private PlanWriter Writer() => new(new PoolPlanner(new PlannerOptions()), new PlannerOptions(), Believed(), _capacity, _plans, _time);

    private (ScalePlans Plans, PlanFollower Follower) Follower()
    {
        var believed = Believed();
        var plans = new ScalePlans(_catalog, believed, _time);
        return (plans, new PlanFollower(_plans, plans, believed, _supervisor, _time));
    }

    private RunningScaler Scaler(string name)
    {
        var (plans, follower) = Follower();
        return new RunningScaler(new LeasedPlanner(_catalog, Believed(), _leases, Writer(), _supervisor, name, _time), plans, follower);
    }

    /// <summary>Each write waits until a test lets it go.</summary>
    private sealed class HeldPlans(IPlanFeed inner) : IPlanFeed
    {
        private readonly Channel<HeldWrite> _writes = Channel.CreateUnbounded<HeldWrite>();

        public Task<HeldWrite> NextAsync() => _writes.Reader.ReadAsync(Token).AsTask().WithinLimitAsync();

        public async ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> plans, CancellationToken cancellationToken)
        {
            var write = new HeldWrite(plans);
            await _writes.Writer.WriteAsync(write, cancellationToken);
            await write.Gone.WaitAsync(cancellationToken);
            return await inner.WriteAsync(epoch, at, plans, cancellationToken);
        }

        public ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken) => inner.ReadAsync(cancellationToken);

        public IAsyncEnumerable<PlanUpdate> WatchAsync(CancellationToken cancellationToken) => inner.WatchAsync(cancellationToken);
    }

    private sealed class HeldWrite(IReadOnlyCollection<SharedPlan> plans)
    {
        private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public IReadOnlyCollection<SharedPlan> Plans => plans;

        public Task Gone => _gone.Task;

        public void Go() => _gone.TrySetResult();
    }

    /// <summary>Says when whoever watches has taken a demand and come back for more.</summary>
    private sealed class ToldDemand(MemoryDemandFeed inner) : IDemandFeed
    {
        private readonly Channel<long> _told = Channel.CreateUnbounded<long>();

        public async Task ToldAsync(long tokens)
        {
            while (await _told.Reader.ReadAsync(Token).AsTask().WithinLimitAsync() != tokens)
            {
            }
        }

        public void Publish(ModelDemand demand) => inner.Publish(demand);

        public void Renew(DateTimeOffset now) => inner.Renew(now);

        public void Withdraw(ModelName model) => inner.Withdraw(model);

        public ModelDemand? Latest(ModelName model) => inner.Latest(model);

        public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => inner.WatchAsync(model, cancellationToken);

        public async IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var demands in inner.WatchAllAsync(cancellationToken))
            {
                yield return demands;
                foreach (var demand in demands) _told.Writer.TryWrite(demand.PendingPromptTokens);
            }
        }
    }

    /// <summary>A broker of which only the depth is asked.</summary>
    private sealed class DepthOnly : IRequestQueue
    {
        public long Requests { get; set; }

        public bool Away { get; set; }

        public ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IAsyncEnumerable<ModelName> WatchArrivalsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken) =>
            Away ? throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "away")) : new(new QueueDepth(Requests, 0, 0, 0));
    }
}
