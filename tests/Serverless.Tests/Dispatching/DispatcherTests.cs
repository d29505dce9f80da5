using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

public sealed class DispatcherTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_waits_for_a_replica_and_goes_to_it_with_nothing_to_continue()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        var demand = await scene.DemandAsync(demand => demand.PendingRequests == 1);
        demand.PendingPromptTokens.ShouldBe(10);
        demand.PendingOutputTokens.ShouldBe(20);
        demand.OldestPendingAt.ShouldBe(request.AcceptedAt);

        var worker = await scene.ConnectAsync();
        var assignment = await worker.AssignedAsync();

        assignment.Request.ShouldBe(request);
        assignment.Fence.Attempt.ShouldBe(1);
        assignment.LastSequence.ShouldBe(1); // accepted
        assignment.Output.ShouldBeEmpty();
        await worker.FinishAsync(assignment);
        (await scene.EventsAsync(request)).Select(logged => logged.GetType().Name).ShouldBe([nameof(RequestEvent.Accepted), nameof(RequestEvent.Finished)]);
        await scene.DemandAsync(demand => !demand.HasWork);
        await scene.QueueHoldsAsync(0);
    }

    [Fact]
    public async Task What_finds_a_replica_free_begins_without_being_accepted_first()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        await scene.DemandAsync(demand => demand.Replicas.Count == 1);
        scene.Time.Advance(Intake.Grace);

        var request = await scene.SubmitAsync();
        var assignment = await worker.AssignedAsync();

        assignment.Fence.Attempt.ShouldBe(1);
        assignment.LastSequence.ShouldBe(0);
        (await scene.Log.AcceptAsync(request.Id, request.AcceptedAt, Token)).ShouldBeFalse();
        await worker.FinishAsync(assignment);
        (await scene.EventsAsync(request)).ShouldHaveSingleItem().ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task When_a_worker_is_lost_the_next_attempt_continues_from_the_log_and_the_old_one_is_fenced()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        var first = await scene.ConnectAsync();
        var lost = await first.AssignedAsync();
        await first.AppendAsync(lost, 3);

        await first.DieAsync();
        (await scene.NewsAsync()).ShouldBe("lost");
        var second = await scene.ConnectAsync();
        var next = await second.AssignedAsync();

        next.Fence.Attempt.ShouldBe(2);
        next.LastSequence.ShouldBe(4);
        next.Output.Select(chunk => chunk.Position).ShouldBe([0, 1, 2]);
        (await first.AppendAsync(lost with { LastSequence = 4 }, 1)).ShouldBe(AppendStatus.Fenced);
        await second.AppendAsync(next, 2);
        await second.FinishAsync(next, appended: 2);
        (await scene.EventsAsync(request)).OfType<RequestEvent.Chunk>().Select(chunk => chunk.Choices[0].Position).ShouldBe([0, 1, 2, 3, 4]);
    }

    [Fact]
    public async Task After_three_attempts_lost_without_a_token_a_request_is_given_up_and_dead_lettered()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();

        for (var attempt = 1; attempt <= 3; attempt++)
        {
            var worker = await scene.ConnectAsync();
            (await worker.AssignedAsync()).Fence.Attempt.ShouldBe(attempt);
            await worker.DieAsync();
            (await scene.NewsAsync()).ShouldBe("lost");
        }

        await scene.ConnectAsync();
        await scene.PassAsync(6); // none of them comes back

        (await scene.NewsAsync()).ShouldBe("poisoned");
        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.Poisoned);
        await scene.DemandAsync(demand => !demand.HasWork);
        await scene.QueueHoldsAsync(0, deadLetters: 1);
    }

    [Theory]
    [InlineData(ServingError.Poisoned, 1)]
    [InlineData(ServingError.ContextTooLong, 0)]
    [InlineData(ServingError.DeadlineExceeded, 0)]
    public async Task What_was_given_up_by_a_dispatcher_that_was_lost_before_its_dead_letter_is_dead_lettered_by_the_next(ServingError error, int deadLetters)
    {
        await using var scene = new DispatcherScene();
        var request = TestRequests.New() with { Promise = Promise.Id };
        await scene.Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        await scene.Log.EndAsync(request.Id, new RequestEvent.Failed(new ServingFault(error, "It was given up.")), Token);

        scene.Queue.Restore(request);

        await scene.QueueHoldsAsync(0, deadLetters);
    }

    [Fact]
    public async Task A_link_that_breaks_over_and_over_condemns_nothing()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        for (var cut = 0; cut < 9; cut++)
        {
            // Each of three workers is cut off as soon as it has the request, and comes back.
            var worker = await scene.ConnectAsync(name: $"w{cut % 3}");
            await scene.PassAsync(1);
            await worker.AssignedAsync();
            await worker.DieAsync();
            (await scene.NewsAsync()).ShouldBe("lost");
        }

        var last = await scene.ConnectAsync(name: "w0");
        await scene.PassAsync(1);
        await last.FinishAsync(await last.AssignedAsync());
        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task An_attempt_that_brought_tokens_clears_the_losses_before_it()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        for (var attempt = 1; attempt <= 7; attempt++)
        {
            var worker = await scene.ConnectAsync();
            var assignment = await worker.AssignedAsync();
            if (attempt % 3 == 0) await worker.AppendAsync(assignment, 1);
            await worker.DieAsync();
            (await scene.NewsAsync()).ShouldBe("lost");
            if (attempt % 3 == 0) await scene.PassAsync(6);
        }

        var last = await scene.ConnectAsync();
        var eighth = await last.AssignedAsync();

        eighth.Output.Count.ShouldBe(2);
        await last.FinishAsync(eighth);
        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task What_a_worker_gives_back_does_not_count_as_lost()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        var worker = await scene.ConnectAsync();
        for (var attempt = 1; attempt <= 5; attempt++)
        {
            var assignment = await scene.MeanwhileAsync(worker.AssignedAsync());
            assignment.Fence.Attempt.ShouldBe(attempt);
            await worker.LeftAsync(assignment, AttemptOutcome.Returned);
        }

        await worker.FinishAsync(await scene.MeanwhileAsync(worker.AssignedAsync()));

        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task A_lost_engine_counts_as_lost_and_gets_no_more_work()
    {
        await using var scene = new DispatcherScene();
        await scene.SubmitAsync();
        var broken = await scene.ConnectAsync();
        var assignment = await broken.AssignedAsync();

        await broken.LeftAsync(assignment, AttemptOutcome.Lost);

        (await scene.NewsAsync()).ShouldBe("lost");
        var whole = await scene.ConnectAsync();
        (await whole.AssignedAsync()).Fence.Attempt.ShouldBe(2);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_deadline_ends_a_request_waiting_or_running(bool running)
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync(request => request with { Deadline = scene.Time.GetUtcNow().AddSeconds(30) });
        await scene.DemandAsync(demand => demand.PendingRequests == 1);
        var worker = running ? await scene.ConnectAsync() : null;
        var assignment = worker is null ? null : await worker.AssignedAsync();

        await scene.PassAsync(30);

        (await scene.NewsAsync()).ShouldBe("expired");
        var fault = (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Failed>().Fault;
        fault.Error.ShouldBe(ServingError.DeadlineExceeded);
        if (worker is not null)
        {
            (await worker.HearAsync<DispatcherMessage.Cancel>()).Id.ShouldBe(request.Id);
            (await worker.AppendAsync(assignment!, 1)).ShouldBe(AppendStatus.Ended);
            await worker.LeftAsync(assignment!, AttemptOutcome.Ended);
        }

        await scene.DemandAsync(demand => !demand.HasWork);
        await scene.QueueHoldsAsync(0);
    }

    [Fact]
    public async Task What_waited_too_long_to_end_in_time_is_given_up_before_it_takes_an_engines_time()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync(slots: 5);
        List<Assignment> running = [];
        for (var i = 0; i < 5; i++) running.Add(await SubmitAssignedAsync());
        await scene.PassAsync(10);
        foreach (var first in running[..4]) await worker.FinishAsync(first); // a request takes ten seconds here
        for (var i = 0; i < 4; i++) running.Add(await SubmitAssignedAsync());
        var late = await scene.SubmitAsync(request => request with { Deadline = scene.Time.GetUtcNow().AddSeconds(15) });
        var patient = await scene.SubmitAsync(request => request with { Deadline = scene.Time.GetUtcNow().AddSeconds(60) });
        await scene.PassAsync(10);

        await worker.FinishAsync(running[4]);

        (await worker.AssignedAsync()).Request.Id.ShouldBe(patient.Id);
        (await scene.NewsAsync()).ShouldBe("expired");
        var fault = (await scene.EndOfAsync(late)).ShouldBeOfType<RequestEvent.Failed>().Fault;
        fault.Error.ShouldBe(ServingError.DeadlineExceeded);
        fault.RetryAfter!.Value.TotalSeconds.ShouldBeInRange(6.9, 7.1); // five seconds are left of fifteen, and a run takes twelve by now
        running.ShouldAllBe(other => other.Request.Id != late.Id);

        async Task<Assignment> SubmitAssignedAsync()
        {
            await scene.SubmitAsync();
            return await worker.AssignedAsync();
        }
    }

    [Fact]
    public async Task An_idle_replica_tries_what_is_expected_to_be_late()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        await scene.SubmitAsync();
        var slow = await worker.AssignedAsync();
        await scene.PassAsync(10);
        await worker.FinishAsync(slow);

        var request = await scene.SubmitAsync(request => request with { Deadline = scene.Time.GetUtcNow().AddSeconds(5) });

        (await worker.AssignedAsync()).Request.Id.ShouldBe(request.Id);
    }

    [Fact]
    public async Task A_request_that_its_holder_ends_leaves_the_backlog_or_its_worker()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync(slots: 1);
        var running = await scene.SubmitAsync();
        var assignment = await worker.AssignedAsync();
        var waiting = await scene.SubmitAsync();
        var after = await scene.SubmitAsync();

        await scene.Log.EndAsync(waiting.Id, new RequestEvent.Cancelled("gone"), Token);
        await scene.Log.EndAsync(running.Id, new RequestEvent.Cancelled("gone"), Token);

        (await worker.HearAsync<DispatcherMessage.Cancel>()).Id.ShouldBe(running.Id);
        await worker.LeftAsync(assignment, AttemptOutcome.Ended);
        (await worker.AssignedAsync()).Request.Id.ShouldBe(after.Id);
        await scene.QueueHoldsAsync(1);
    }

    [Fact]
    public async Task A_request_that_ended_before_it_was_assigned_is_completed_not_run()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        var request = TestRequests.New();
        await scene.Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        await scene.Log.EndAsync(request.Id, new RequestEvent.Cancelled("gone"), Token);
        await scene.Queue.EnqueueAsync(request, Token);
        var next = await scene.SubmitAsync();

        (await worker.AssignedAsync()).Request.Id.ShouldBe(next.Id);

        await scene.QueueHoldsAsync(1);
    }

    [Fact]
    public async Task A_request_that_is_found_ended_when_it_is_begun_is_told_as_its_log_has_it()
    {
        await using var scene = new DispatcherScene();
        await scene.ConnectAsync();
        var request = TestRequests.New();
        await scene.Log.OpenAsync(request.Id, DispatcherScene.HeadOf(request), Token);
        var begun = await scene.Log.BeginAsync(request.Id, 1, Guid.NewGuid(), Token);
        await scene.Log.AppendAsync(request.Id, begun.Fence, begun.LastSequence + 1, [TestRequests.Chunk(0), new RequestEvent.Finished(new TokenUsage(10, 1))], Token);

        await scene.Queue.EnqueueAsync(request, Token);
        await scene.QueueHoldsAsync(0);

        scene.Promises.Ends.ShouldBe([new RequestEnd(request, RequestOutcome.Finished, new TokenUsage(10, 1))]);
    }

    [Fact]
    public async Task A_request_that_is_found_ended_when_it_is_asserted_is_told_as_its_log_has_it()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        var request = await scene.SubmitAsync();
        var assignment = await worker.AssignedAsync();
        await scene.Log.AppendAsync(request.Id, assignment.Fence, assignment.LastSequence + 1, [TestRequests.Chunk(0), new RequestEvent.Finished(new TokenUsage(10, 1))], Token);

        await worker.SayAsync(new WorkerMessage.StoreChanged(request.Id, assignment.Fence.Attempt));
        await worker.HearAsync<DispatcherMessage.Cancel>();
        await scene.QueueHoldsAsync(0);

        scene.Promises.Ends.Select(end => (end.Outcome, end.Usage)).ShouldBe([(RequestOutcome.Finished, new TokenUsage(10, 1))]);
    }

    [Fact]
    public async Task A_request_that_was_delivered_twice_runs_once()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        await scene.Queue.EnqueueAsync(request, Token);
        var worker = await scene.ConnectAsync();

        var assignment = await worker.AssignedAsync();
        await scene.Queue.EnqueueAsync(request, Token);
        await worker.FinishAsync(assignment);

        var next = await scene.SubmitAsync();
        (await worker.AssignedAsync()).Request.Id.ShouldBe(next.Id);
    }

    [Fact]
    public async Task A_draining_worker_is_answered_and_gets_no_more_but_what_it_runs_ends()
    {
        await using var scene = new DispatcherScene();
        var leaving = await scene.ConnectAsync();
        var running = await scene.SubmitAsync();
        var assignment = await leaving.AssignedAsync();

        await leaving.SayAsync(new WorkerMessage.Draining());
        await leaving.HearAsync<DispatcherMessage.Drain>();
        var next = await scene.SubmitAsync();
        var other = await scene.ConnectAsync();

        (await other.AssignedAsync()).Request.Id.ShouldBe(next.Id);
        await leaving.FinishAsync(assignment);
        (await scene.EndOfAsync(running)).ShouldBeOfType<RequestEvent.Finished>();
        await leaving.DieAsync();
    }

    [Fact]
    public async Task A_prompt_that_no_replica_can_ever_hold_is_refused_and_blocks_nobody()
    {
        await using var scene = new DispatcherScene();
        var huge = await scene.SubmitAsync(request => request with { PromptTokens = 100 });
        var next = await scene.SubmitAsync();

        var worker = await scene.ConnectAsync(kv: 100);

        (await scene.EndOfAsync(huge)).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.ContextTooLong);
        (await worker.AssignedAsync()).Request.Id.ShouldBe(next.Id);
    }

    [Fact]
    public async Task A_stopped_dispatcher_lets_its_workers_go_and_leaves_its_requests_to_the_next_one()
    {
        var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        var request = await scene.SubmitAsync();
        await worker.AssignedAsync();

        await scene.StopAsync();

        await worker.LetGoAsync();
        await using var deliveries = scene.Queue.ConsumeAsync(TestRequests.Model, Token).Enumerate(Token);
        (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        deliveries.Current.Request.Id.ShouldBe(request.Id);
        deliveries.Current.Redelivered.ShouldBeTrue();
    }

    [Fact]
    public async Task A_dispatcher_whose_epoch_is_stale_stops_and_the_next_goes_on_with_a_higher_one()
    {
        await using var scene = new DispatcherScene();
        var stranger = TestRequests.New();
        await scene.Log.OpenAsync(stranger.Id, new LogHead(stranger.Model, Promise.Id, "test", stranger.Deadline), Token);
        var taken = scene.Time.GetUtcNow().AddMilliseconds(500).ToUnixTimeMilliseconds();
        await scene.Log.BeginAsync(stranger.Id, taken, Guid.NewGuid(), Token);
        var request = await scene.SubmitAsync();
        var worker = await scene.ConnectAsync();

        await worker.LetGoAsync();
        await scene.GaveUpAsync();
        await WatchedLeases.TickAsync(scene.Time, scene.Leases); // the lease is taken again
        worker = await scene.ConnectAsync();
        await scene.PassAsync(5); // workers have had their time to claim what had been accepted

        (await worker.AssignedAsync()).Request.Id.ShouldBe(request.Id);
    }
}
