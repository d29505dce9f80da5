using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

public sealed class DispatchPlannerTests
{
    [Fact]
    public void Without_replicas_nothing_is_chosen_and_nothing_is_too_large()
    {
        var entry = BacklogScene.Entry(prompt: int.MaxValue / 2);

        DispatchPlanner.Choose(entry, []).ShouldBeNull();
        DispatchPlanner.NeverFits(entry, [], out _).ShouldBeFalse();
    }

    [Fact]
    public void The_replica_with_the_smallest_share_of_its_cache_spoken_for_is_chosen()
    {
        var (small, large) = (Replica(kv: 100), Replica(kv: 1000));
        Run(small, prompt: 10, output: 10); // 20 %
        Run(large, prompt: 50, output: 50); // 10 %
        (small.Load, large.Load) = (WorkerLoad.Idle, WorkerLoad.Idle); // both have prefilled

        DispatchPlanner.Choose(BacklogScene.Entry(), [small, large]).ShouldBe(large);
    }

    [Fact]
    public void Of_two_alike_the_one_with_fewer_requests_is_chosen()
    {
        var (two, one) = (Replica(), Replica());
        Run(two, 10, 10);
        Run(two, 10, 10);
        Run(one, 20, 20);
        (two.Load, one.Load) = (WorkerLoad.Idle, WorkerLoad.Idle);

        DispatchPlanner.Choose(BacklogScene.Entry(), [two, one]).ShouldBe(one);
    }

    [Fact]
    public void A_prompt_goes_where_the_fewest_seconds_of_prompts_are_ahead_of_it_whatever_the_caches_hold()
    {
        var (long_, answering, slow) = (Replica(kv: 100_000), Replica(kv: 1000), Replica(kv: 100_000));
        Run(long_, prompt: 5000, output: 10);
        long_.Load = WorkerLoad.Idle with { WaitingPromptTokens = 5000, PrefillTokensPerSecond = 1000 };
        Run(answering, prompt: 500, output: 10);
        answering.Load = WorkerLoad.Idle with { PrefillTokensPerSecond = 1000 };
        Run(slow, prompt: 600, output: 10);
        slow.Load = WorkerLoad.Idle with { WaitingPromptTokens = 600, PrefillTokensPerSecond = 100 };

        DispatchPlanner.Choose(BacklogScene.Entry(), [long_, answering, slow]).ShouldBe(answering);
        DispatchPlanner.Choose(BacklogScene.Entry(), [long_, slow]).ShouldBe(long_, "5 s against 6 s");
    }

    [Fact]
    public void What_was_assigned_since_a_worker_spoke_is_ahead_as_well()
    {
        var (one, two) = (Replica(), Replica());
        Run(one, prompt: 50, output: 10);
        DispatchPlanner.Choose(BacklogScene.Entry(), [one, two]).ShouldBe(two);

        Run(two, prompt: 20, output: 10);
        DispatchPlanner.Choose(BacklogScene.Entry(), [one, two]).ShouldBe(two);

        one.Load = WorkerLoad.Idle with { Running = 1 };
        DispatchPlanner.Choose(BacklogScene.Entry(), [one, two]).ShouldBe(one, "it has prefilled its prompt");
    }

    [Fact]
    public void Neither_a_full_nor_a_draining_replica_takes_more()
    {
        var (full, draining) = (Replica(slots: 1), Replica());
        Run(full, 1, 1);
        draining.Draining = true;

        DispatchPlanner.Choose(BacklogScene.Entry(), [full, draining]).ShouldBeNull();
    }

    [Fact]
    public void Beside_others_a_request_must_fit_the_cache_alone_it_may_outgrow_it()
    {
        var replica = Replica(kv: 100);
        var large = BacklogScene.Entry(prompt: 60, output: 60);
        DispatchPlanner.Choose(large, [replica]).ShouldBe(replica);

        Run(replica, 1, 1);

        DispatchPlanner.Choose(large, [replica]).ShouldBeNull();
        DispatchPlanner.Choose(BacklogScene.Entry(prompt: 49, output: 49), [replica]).ShouldBe(replica);
    }

    [Theory]
    [InlineData(199, false)]
    [InlineData(200, true)]
    public void A_prompt_that_fills_the_largest_cache_never_fits(int prompt, bool never)
    {
        DispatchPlanner.NeverFits(BacklogScene.Entry(prompt: prompt), [Replica(kv: 100), Replica(kv: 200)], out var largest).ShouldBe(never);

        largest.ShouldBe(200);
    }

    [Fact]
    public void While_a_replica_loads_no_prompt_is_too_large_for_ever() =>
        DispatchPlanner.NeverFits(BacklogScene.Entry(prompt: 200), [Replica(kv: 100), Replica(kv: 1000, loading: true)], out _).ShouldBeFalse();

    [Fact]
    public void What_is_taken_off_a_replica_makes_its_room_again()
    {
        var replica = Replica(kv: 100);
        var running = Run(replica, 50, 40);

        replica.Remove(running).ShouldBeTrue();
        replica.Remove(running).ShouldBeFalse();

        replica.ReservedTokens.ShouldBe(0);
    }

    private static TrackedRequest Run(ReplicaState replica, int prompt, int output)
    {
        var request = new TrackedRequest(BacklogScene.Entry(prompt: prompt, output: output));
        replica.Add(request);
        return request;
    }

    private static ReplicaState Replica(long kv = 1000, int slots = 8, bool loading = false) => new(new Session(new WorkerDescription
    {
        Worker = "replica",
        Pool = new PoolName("tiny-cpu"),
        Model = TestRequests.Model,
        Engine = "simulated",
        KvCapacityTokens = kv,
        Loading = loading,
        Slots = slots,
    }));

    private sealed class Session(WorkerDescription worker) : IWorkerSession
    {
        public WorkerDescription Worker => worker;

        public void Close()
        {
        }

        public bool TrySend(DispatcherMessage message) => true;

        public IAsyncEnumerable<WorkerMessage> ReadAsync(CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
