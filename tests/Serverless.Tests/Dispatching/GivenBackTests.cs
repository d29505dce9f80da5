using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>F32, F33, F39: attempts that come back, and attempts that do not stop.</summary>
public sealed class GivenBackTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(AttemptOutcome.Returned)]
    [InlineData(AttemptOutcome.Failed)]
    public void What_comes_back_unasked_is_begun_again_after_growing_pauses_and_not_for_ever(AttemptOutcome outcome)
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w");
        scene.Submit();
        var begun = scene.Time.GetUtcNow();
        var attempts = 0;
        while (!scene.News.Contains("poisoned"))
        {
            (scene.Time.GetUtcNow() - begun).ShouldBeLessThan(TimeSpan.FromMinutes(3));
            if (said.Assigned.Count() > attempts)
            {
                attempts++;
                scene.Leave(replica, said.Assigned.Last(), outcome, 0);
                said.Assigned.Count().ShouldBe(attempts, "not at once");
            }

            scene.Pass(TimeSpan.FromMilliseconds(100));
        }

        attempts.ShouldBe(12);
        (scene.Time.GetUtcNow() - begun).ShouldBeGreaterThan(TimeSpan.FromSeconds(20));
        scene.News.ShouldContain("dead letter");
    }

    [Fact]
    public void What_a_busy_engine_did_not_take_is_begun_again_after_growing_pauses_as_often_as_it_takes()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w");
        scene.Submit();
        var begun = scene.Time.GetUtcNow();
        for (var attempts = 1; attempts <= 30; attempts++)
        {
            said.Assigned.Last().Fence.Attempt.ShouldBe(attempts);
            scene.Leave(replica, said.Assigned.Last(), AttemptOutcome.Busy, 0);
            said.Assigned.Count().ShouldBe(attempts, "not at once");
            while (said.Assigned.Count() == attempts) scene.Pass(TimeSpan.FromMilliseconds(100));
        }

        (scene.Time.GetUtcNow() - begun).ShouldBeGreaterThan(TimeSpan.FromMinutes(2));
        scene.News.ShouldNotContain("poisoned");
    }

    [Fact]
    public async Task What_came_back_with_a_token_more_each_time_is_begun_again_for_ever()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w");
        scene.Submit();
        for (var attempt = 1; attempt <= 30; attempt++)
        {
            var assignment = said.Assigned.Last();
            assignment.Fence.Attempt.ShouldBe(attempt);
            await scene.Log.AppendAsync(assignment.Request.Id, assignment.Fence, assignment.LastSequence + 1, [TestRequests.Chunk(assignment.Output.Count)], Token);
            scene.Leave(replica, assignment, AttemptOutcome.Failed);
            scene.Pass(TimeSpan.FromSeconds(1));
        }

        scene.News.ShouldNotContain("poisoned");
    }

    [Fact]
    public void What_a_draining_worker_gives_back_goes_to_another_at_once()
    {
        var scene = new LoopScene();
        var (leaving, leavingSaid) = scene.Connect("leaving");
        scene.Submit();
        var (_, said) = scene.Connect("stays");
        scene.Handle(new Serverless.Dispatching.DispatchInput.Said(leaving, new WorkerMessage.Draining()));

        scene.Leave(leaving, leavingSaid.Assigned.Single(), AttemptOutcome.Returned, 0);

        said.Assigned.Single().Fence.Attempt.ShouldBe(2);
    }

    [Fact]
    public async Task Work_that_ignores_its_cancel_is_given_up_and_its_slot_believed_free_only_when_the_worker_says_so()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w", slots: 1);
        var stuck = scene.Submit();
        var assignment = said.Assigned.Single();
        await scene.Log.EndAsync(stuck.Id, new RequestEvent.Cancelled("gone"), Token);
        scene.Handle(new Serverless.Dispatching.DispatchInput.Ended(stuck.Id));
        said.Heard.ShouldContain(new DispatcherMessage.Cancel(stuck.Id));

        scene.Pass(TimeSpan.FromSeconds(19));
        said.IsClosed.ShouldBeFalse();
        scene.Pass(TimeSpan.FromSeconds(2));

        scene.News.ShouldContain("not stopped by w");
        said.IsClosed.ShouldBeTrue();
        scene.Promises.Ends.Single().Outcome.ShouldBe(RequestOutcome.Cancelled);
        scene.Close(replica);
        var next = scene.Submit();

        // It comes back and still runs it.
        var (back, backSaid) = scene.Connect("w", slots: 1, running: new AttemptClaim(stuck.Id, assignment.Fence.Attempt, 1));
        backSaid.Assigned.ShouldBeEmpty();
        scene.Leave(back, assignment);
        backSaid.Assigned.Single().Request.Id.ShouldBe(next.Id);
    }

    [Fact]
    public void Work_that_ignores_its_preemption_counts_as_lost_and_goes_on_elsewhere()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w", slots: 1);
        var batch = scene.Submit(request => request with { Lane = Lane.Batch });
        scene.Submit(request => request with { Lane = Lane.Realtime });
        said.Heard.ShouldContain(new DispatcherMessage.Preempt(batch.Id));

        scene.Pass(TimeSpan.FromSeconds(21));
        scene.Close(replica);
        var (_, other) = scene.Connect("other", slots: 2);

        other.Assigned.Select(assignment => assignment.Request.Lane).ShouldBe([Lane.Realtime, Lane.Batch]);
    }

    [Fact]
    public void A_request_that_waits_for_its_workers_before_a_verdict_keeps_its_conversations_turn()
    {
        var scene = new LoopScene();
        var first = scene.Submit(request => request with { Conversation = "c" });
        for (var loss = 0; loss < 3; loss++)
        {
            var (replica, lost) = scene.Connect($"w{loss}");
            lost.Assigned.Single().Request.Id.ShouldBe(first.Id);
            scene.Close(replica);
        }

        var second = scene.Submit(request => request with { Conversation = "c" });
        var (_, said) = scene.Connect("w");
        said.Assigned.ShouldBeEmpty();
        scene.Pass(TimeSpan.FromMilliseconds(100));
        scene.Demand.Latest(TestRequests.Model)!.PendingRequests.ShouldBe(2, "both wait");
        scene.Pass(TimeSpan.FromSeconds(6));

        scene.News.ShouldContain("poisoned");
        said.Assigned.Single().Request.Id.ShouldBe(second.Id);
    }
}
