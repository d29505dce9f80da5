using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Tests.Dispatching;
using Shouldly;

namespace Serverless.Tests.Worker.Sessions;

/// <summary>A worker whose dispatcher or log's store goes away.</summary>
public sealed class WorkerOutageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_runs_outlives_its_dispatcher_and_the_next_is_told_of_it_and_of_its_end()
    {
        await using var scene = new WorkerScene();
        var first = await scene.AcceptAsync(epoch: 10);
        var assignment = await scene.AssignAsync();
        scene.Engine.Give(assignment.Request.Id, 2);
        (await scene.PositionsAsync(assignment, 2)).ShouldBe([0, 1]);

        first.Close();
        scene.Engine.Give(assignment.Request.Id, 2); // nobody dispatches, and it goes on
        (await scene.PositionsAsync(assignment, 4)).ShouldBe([0, 1, 2, 3]);
        var second = await scene.AcceptAsync(epoch: 11);

        second.Worker.HighestEpoch.ShouldBe(10);
        var held = second.Worker.Running.ShouldHaveSingleItem();
        (held.Id, held.Attempt).ShouldBe((assignment.Request.Id, 1));
        scene.Engine.Finish(assignment.Request.Id);
        (await scene.HearAsync<WorkerMessage.AttemptEnded>()).ShouldBe(new WorkerMessage.AttemptEnded(assignment.Request.Id, AttemptOutcome.Ended, 4) { Attempt = 1, How = RequestOutcome.Finished });
    }

    [Fact]
    public async Task While_the_store_is_away_the_engine_goes_on_into_the_workers_buffer_and_nothing_is_missing_afterwards()
    {
        await using var scene = new WorkerScene(TimeProvider.System);
        await scene.AcceptAsync();
        var assignment = await scene.AssignAsync();
        await scene.GiveAsync(assignment, 1);

        scene.Log.Away = true;
        scene.Engine.Give(assignment.Request.Id, 300);
        scene.Engine.Finish(assignment.Request.Id);
        scene.Log.Away = false;

        (await scene.PositionsAsync(assignment, 301)).ShouldBe(Enumerable.Range(0, 301));
        (await scene.HearAsync<WorkerMessage.AttemptEnded>()).Outcome.ShouldBe(AttemptOutcome.Ended);
    }

    [Theory]
    [InlineData(0)] // it lost all, head and tail
    [InlineData(1)] // all but the head
    [InlineData(3)] // started, and one token of three
    public async Task A_store_that_came_back_with_less_gets_the_rest_again(int kept)
    {
        await using var scene = new WorkerScene();
        await scene.AcceptAsync();
        var assignment = await scene.AssignAsync(request => request with { Promise = Promise.Id });
        var (id, head) = (assignment.Request.Id, DispatcherScene.HeadOf(assignment.Request));
        await scene.GiveAsync(assignment, 3);

        await (kept == 0 ? scene.Log.LoseAsync() : scene.Log.LoseAsync((assignment.Request, head, kept)));
        scene.Engine.Give(id, 2);
        (await scene.HearAsync<WorkerMessage.StoreChanged>()).ShouldBe(new WorkerMessage.StoreChanged(id, 1));
        await scene.AdoptAsync(assignment);

        scene.Engine.Finish(id);
        (await scene.PositionsAsync(assignment)).ShouldBe([0, 1, 2, 3, 4]);
    }

    [Fact]
    public async Task A_store_that_lost_an_earlier_attempts_output_gets_that_again_too()
    {
        await using var scene = new WorkerScene();
        await scene.AcceptAsync();
        var first = await scene.AssignAsync();
        var (id, head) = (first.Request.Id, DispatcherScene.HeadOf(first.Request));
        await scene.GiveAsync(first, 3);
        scene.Session.TrySend(new DispatcherMessage.Preempt(id));
        (await scene.HearAsync<WorkerMessage.AttemptEnded>()).Outcome.ShouldBe(AttemptOutcome.Returned);
        var second = await scene.BeginAsync(first.Request);
        await scene.GiveAsync(second, 1);

        await scene.Log.LoseAsync((first.Request, head, 3)); // of the first attempt's three tokens, one
        scene.Engine.Give(id, 1);
        await scene.HearAsync<WorkerMessage.StoreChanged>();
        await scene.AdoptAsync(second);
        scene.Engine.Finish(id);

        (await scene.PositionsAsync(first)).ShouldBe([0, 1, 2, 3, 4]);
    }

    [Fact]
    public async Task When_the_buffer_is_full_generation_pauses()
    {
        await using var scene = new WorkerScene(TimeProvider.System);
        await scene.AcceptAsync();
        var assignment = await scene.AssignAsync();
        await scene.GiveAsync(assignment, 1);

        scene.Log.Away = true;
        scene.Engine.Give(assignment.Request.Id, 50_000);
        scene.Engine.Finish(assignment.Request.Id);
        await AssignElsewhereAsync(scene); // and the others, in the engine's other slots, are heard meanwhile
        scene.Engine.Given.ShouldBeLessThan(2_000);
        scene.Log.Away = false;

        (await scene.PositionsAsync(assignment)).Count.ShouldBe(50_001);
    }

    [Fact]
    public async Task What_the_engine_gave_while_the_log_was_away_is_few_records_and_none_is_missing_or_repeated()
    {
        await using var scene = new WorkerScene(TimeProvider.System);
        await scene.AcceptAsync();
        var assignment = await scene.AssignAsync();
        await scene.GiveAsync(assignment, 1);

        scene.Log.Away = true;
        scene.Engine.Give(assignment.Request.Id, 640);
        scene.Engine.Finish(assignment.Request.Id);
        await AssignElsewhereAsync(scene);
        scene.Log.Away = false;

        (await scene.PositionsAsync(assignment)).ShouldBe(Enumerable.Range(0, 641));
        (await scene.Log.FollowAsync(assignment.Request.Id, 0, Token).ToListAsync(Token)).Count.ShouldBeLessThan(100);
    }

    [Fact]
    public async Task A_draining_worker_without_a_dispatcher_finishes_what_it_runs_and_leaves()
    {
        await using var scene = new WorkerScene();
        await scene.AcceptAsync();
        var assignment = await scene.AssignAsync();
        await scene.GiveAsync(assignment, 1);
        scene.Session.Close();

        scene.Drain();
        scene.Engine.Finish(assignment.Request.Id);

        await scene.LeftAsync();
        (await scene.PositionsAsync(assignment)).ShouldBe([0]);
    }

    private static async Task<WorkerMessage> AssignElsewhereAsync(WorkerScene scene)
    {
        var unknown = new Assignment(TestRequests.New(), new Fence("elsewhere", 1), 0, []);
        scene.Session.TrySend(new DispatcherMessage.Assign(unknown));
        scene.Session.TrySend(new DispatcherMessage.Cancel(unknown.Request.Id));
        return await scene.HearAsync<WorkerMessage.AttemptEnded>();
    }
}
