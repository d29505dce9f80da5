using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>What happens to requests when dispatchers, workers, gateways and the log's store come and go: DESIGN's table of lost parts, row by row.</summary>
public sealed class TakeOverTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Running_work_is_adopted_by_the_next_dispatcher_not_repeated()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        var worker = await scene.ConnectAsync(name: "w");
        var assignment = await worker.AssignedAsync();
        await worker.AppendAsync(assignment, 2);

        await scene.TakeOverAsync();
        await worker.LetGoAsync();
        worker = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(assignment, 2));

        (await scene.NewsAsync()).ShouldBe("adopted");
        var refence = await worker.HearAsync<DispatcherMessage.Refence>();
        refence.Fence.ShouldBe(assignment.Fence);
        refence.LastSequence.ShouldBe(3);
        await worker.FinishAsync(assignment, appended: 2);
        (await scene.EventsAsync(request)).Count.ShouldBe(4); // accepted, two tokens, finished: no event tells of the take-over
        await scene.DemandAsync(demand => !demand.HasWork);
        await scene.QueueHoldsAsync(0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Turns_of_a_conversation_go_by_age_while_a_dispatcher_before_this_one_gives_them_back_and_by_delivery_after_that(bool hasOneKnown)
    {
        var scene = new LoopScene(isNew: true);
        var (replica, said) = scene.Connect("w");
        var began = scene.Time.GetUtcNow();
        InferenceRequest[] turns = [.. new[] { 30, 10, 20 }.Select(age => Submit(age))];
        scene.Pass(TimeSpan.FromSeconds(1));
        turns = [turns[1], turns[2], turns[0], Submit(25)];
        (turns[2], turns[3]) = (turns[3], turns[2]);
        said.Assigned.ShouldBeEmpty("what the dispatcher before this one had may still come");

        scene.Pass(Intake.Grace);
        turns = [.. turns, Submit(5), Submit(1)];
        foreach (var turn in turns)
        {
            said.Assigned.Last().Request.Id.ShouldBe(turn.Id);
            scene.Leave(replica, said.Assigned.Last());
        }

        said.Assigned.Count().ShouldBe(turns.Length);

        InferenceRequest Submit(int seconds) => scene.Submit(
            request =>
            {
                var turn = request with { Conversation = "tale", AcceptedAt = began.AddSeconds(seconds - 60) };
                if (hasOneKnown && seconds == 10) scene.Know(turn);
                return turn;
            });
    }

    [Fact]
    public void What_is_given_back_late_has_its_turn_before_what_was_accepted_after_it()
    {
        var scene = new LoopScene();
        var running = Submit(30);
        var (replica, said) = scene.Connect("w");
        InferenceRequest[] turns = [Submit(25), Submit(20, redelivered: true), Submit(40, redelivered: true)];

        foreach (var turn in (InferenceRequest[])[running, turns[2], turns[0], turns[1]])
        {
            said.Assigned.Last().Request.Id.ShouldBe(turn.Id);
            scene.Leave(replica, said.Assigned.Last());
        }

        InferenceRequest Submit(int age, bool redelivered = false) =>
            scene.Submit(request => request with { Conversation = "tale", AcceptedAt = scene.Time.GetUtcNow().AddSeconds(-age) }, redelivered);
    }

    [Fact]
    public void A_clock_that_is_set_back_makes_no_dispatcher_new_again()
    {
        var scene = new LoopScene();
        var (_, said) = scene.Connect("w");
        scene.Time.Set(scene.Time.GetUtcNow().AddHours(-1));

        var turn = scene.Submit(request => request with { Conversation = "tale" });
        scene.Pass(TimeSpan.FromSeconds(1));

        said.Assigned.Single().Request.Id.ShouldBe(turn.Id);
    }

    [Fact]
    public async Task A_take_over_repeated_ten_times_dead_letters_nothing()
    {
        await using var scene = new DispatcherScene();
        var request = await scene.SubmitAsync();
        var worker = await scene.ConnectAsync(name: "w");
        var assignment = await worker.AssignedAsync();
        for (var takeOver = 0; takeOver < 10; takeOver++)
        {
            // Every other time the worker is too slow to say what it runs, and the request is begun anew: not a token comes in all that time.
            await scene.TakeOverAsync();
            if (takeOver % 2 == 0)
            {
                worker = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(assignment));
                (await scene.NewsAsync()).ShouldBe("adopted");
                await worker.HearAsync<DispatcherMessage.Refence>();
                continue;
            }

            worker = await scene.ConnectAsync(name: $"w-{takeOver}");
            await scene.PassAsync(4);
            assignment = await worker.AssignedAsync();
            worker = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(assignment));
        }

        await scene.TakeOverAsync();
        worker = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(assignment));
        await worker.HearAsync<DispatcherMessage.Refence>();
        await worker.FinishAsync(assignment);

        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Finished>();
        await scene.QueueHoldsAsync(0);
    }

    [Fact]
    public async Task What_no_worker_claims_is_begun_anew_after_a_moment_and_continues_from_the_log()
    {
        await using var scene = new DispatcherScene();
        await scene.SubmitAsync();
        var worker = await scene.ConnectAsync();
        await worker.AppendAsync(await worker.AssignedAsync(), 2);

        await scene.TakeOverAsync();
        worker = await scene.ConnectAsync();
        var fresh = await scene.SubmitAsync();

        (await worker.AssignedAsync()).Request.Id.ShouldBe(fresh.Id); // what nobody can be running does not wait
        await scene.PassAsync(3);
        var next = await worker.AssignedAsync();
        next.Fence.Attempt.ShouldBe(2);
        next.Output.Count.ShouldBe(2);
    }

    [Fact]
    public async Task A_worker_that_comes_too_late_with_an_attempt_is_told_to_drop_it()
    {
        await using var scene = new DispatcherScene();
        await scene.SubmitAsync();
        var first = await scene.ConnectAsync(name: "w");
        var lost = await first.AssignedAsync();
        await first.DieAsync();
        (await scene.NewsAsync()).ShouldBe("lost");
        var second = await scene.ConnectAsync();
        var next = await second.AssignedAsync();

        var back = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(lost));

        (await back.HearAsync<DispatcherMessage.Cancel>()).Id.ShouldBe(lost.Request.Id);
        await back.LeftAsync(lost, AttemptOutcome.Ended); // says the one who dropped it
        await second.AppendAsync(next, 1);
        await second.FinishAsync(next, appended: 1);
        (await scene.EndOfAsync(next.Request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task A_worker_whose_connection_broke_comes_back_with_its_attempt_and_nothing_counts_as_lost()
    {
        await using var scene = new DispatcherScene();
        await scene.SubmitAsync();
        var worker = await scene.ConnectAsync(name: "w");
        var assignment = await worker.AssignedAsync();
        for (var time = 0; time < 5; time++)
        {
            await worker.DieAsync();
            (await scene.NewsAsync()).ShouldBe("lost");
            worker = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(assignment));
            (await scene.NewsAsync()).ShouldBe("adopted");
            await worker.HearAsync<DispatcherMessage.Refence>();
        }

        // And once more, before the end of the last session is seen.
        worker = await scene.ConnectAsync(name: "w", running: ScriptedWorker.Held(assignment));
        (await scene.NewsAsync()).ShouldBe("adopted");
        await worker.HearAsync<DispatcherMessage.Refence>();
        await worker.FinishAsync(assignment);
        (await scene.EndOfAsync(assignment.Request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task What_an_id_promised_is_kept_before_its_message_is_acknowledged()
    {
        await using var scene = new DispatcherScene();
        var keep = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        scene.Promises.Before = keep.Task.WaitAsync;
        var request = await scene.SubmitAsync(request => request with { Promise = Promise.Id });
        var worker = await scene.ConnectAsync();
        await worker.FinishAsync(await worker.AssignedAsync());
        var next = await scene.SubmitAsync();
        (await worker.AssignedAsync()).Request.Id.ShouldBe(next.Id); // the loop goes on meanwhile

        (await scene.Queue.DepthAsync(TestRequests.Model, Token)).Requests.ShouldBe(2);

        // The dispatcher is lost in between: the next one finds the request ended, needs no replica, and does what is missing.
        await scene.TakeOverAsync();
        scene.Promises.Kept.ShouldBeEmpty();
        keep.SetResult();
        await scene.PassAsync(1);
        scene.Promises.Before = _ => Task.CompletedTask;
        await scene.NextDemandAsync(_ => !scene.Promises.Kept.IsEmpty);
        scene.Promises.Kept.ShouldBe([request.Id]);
        await scene.QueueHoldsAsync(1);
    }

    [Fact]
    public async Task A_promise_that_cannot_be_kept_is_tried_again()
    {
        await using var scene = new DispatcherScene();
        var tries = 0;
        scene.Promises.Before = _ => ++tries < 3 ? throw new InvalidOperationException("no store") : Task.CompletedTask;
        var request = await scene.SubmitAsync(request => request with { Promise = Promise.Id });
        var worker = await scene.ConnectAsync();
        await worker.FinishAsync(await worker.AssignedAsync());

        await scene.NextDemandAsync(_ => !scene.Promises.Kept.IsEmpty);

        scene.Promises.Kept.ShouldBe([request.Id]);
        tries.ShouldBe(3);
    }

    [Fact]
    public async Task While_the_store_is_away_nothing_begins_and_what_runs_goes_on()
    {
        await using var scene = new DispatcherScene(logAt: time => new FlakyLog(time));
        var log = (FlakyLog)scene.Log;
        var worker = await scene.ConnectAsync(slots: 2);
        await scene.SubmitAsync();
        var running = await worker.AssignedAsync();
        var waiting = await scene.SubmitAsync(request => request with { PromptTokens = 980 }); // beside the other it does not fit
        await scene.NextDemandAsync(demand => demand.PendingRequests == 1);

        log.Away = true;
        var unknown = TestRequests.New();
        await scene.Queue.EnqueueAsync(unknown, Token);
        (await scene.NewsAsync()).ShouldBe("store lost");
        await scene.PassAsync(20);
        log.Away = false;
        await log.OpenAsync(unknown.Id, DispatcherScene.HeadOf(unknown), Token);
        await worker.FinishAsync(running);

        await scene.PassAsync(1);
        (await worker.AssignedAsync()).Request.Id.ShouldBe(waiting.Id);
        (await scene.NewsAsync()).ShouldBe("store back");
    }

    [Fact]
    public async Task A_store_that_came_back_with_less_is_told_of_the_attempt_again()
    {
        await using var scene = new DispatcherScene(logAt: time => new FlakyLog(time));
        var log = (FlakyLog)scene.Log;
        var request = await scene.SubmitAsync();
        var worker = await scene.ConnectAsync();
        var assignment = await worker.AssignedAsync();
        await worker.AppendAsync(assignment, 3);

        await log.LoseAsync((request, DispatcherScene.HeadOf(request), 2));
        (await worker.AppendAsync(assignment with { LastSequence = 4 }, 1)).ShouldBe(AppendStatus.StoreChanged);
        await worker.SayAsync(new WorkerMessage.StoreChanged(request.Id, 1));

        var refence = await worker.HearAsync<DispatcherMessage.Refence>();
        refence.LastSequence.ShouldBe(2);
        refence.Fence.ShouldNotBe(assignment.Fence);
        await worker.FinishAsync(assignment with { Fence = refence.Fence, LastSequence = 2 });
        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task What_an_id_promised_survives_a_store_that_lost_its_log()
    {
        await using var scene = new DispatcherScene(logAt: time => new FlakyLog(time));
        var request = await scene.SubmitAsync(request => request with { Promise = Promise.Id });
        await scene.DemandAsync(demand => demand.PendingRequests == 1);

        await ((FlakyLog)scene.Log).LoseAsync();
        var worker = await scene.ConnectAsync();
        await worker.FinishAsync(await worker.AssignedAsync());

        (await scene.EndOfAsync(request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    [Fact]
    public async Task The_requests_of_a_gateway_that_is_gone_end_and_those_of_the_others_do_not()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync(slots: 1); // and so it is dispatched here
        var (lost, stays) = (await scene.LeaseGatewayAsync("lost"), await scene.LeaseGatewayAsync("stays"));
        var running = await scene.SubmitAsync(request => request with { Holder = "lost" });
        var assignment = await worker.AssignedAsync();
        var waiting = await scene.SubmitAsync(request => request with { Holder = "lost" });
        var moved = await scene.SubmitAsync(request => request with { Holder = "lost" });
        var others = await scene.SubmitAsync(request => request with { Holder = "stays" });
        await scene.NextDemandAsync(demand => demand.PendingRequests == 3);
        await scene.Log.HoldAsync(moved.Id, Promise.Connection, "stays", Token);

        await scene.PassAsync(20);
        await scene.ReleaseAsync(lost);
        await scene.PassAsync(7);

        (await scene.NewsAsync()).ShouldBe("gone: lost with 3");
        (await worker.HearAsync<DispatcherMessage.Cancel>()).Id.ShouldBe(running.Id);
        await worker.LeftAsync(assignment, AttemptOutcome.Ended);
        (await scene.EndOfAsync(running)).ShouldBeOfType<RequestEvent.Cancelled>();
        (await scene.EndOfAsync(waiting)).ShouldBeOfType<RequestEvent.Cancelled>();
        var next = await worker.AssignedAsync();
        next.Request.Id.ShouldBe(moved.Id);
        await worker.FinishAsync(next);
        (await worker.AssignedAsync()).Request.Id.ShouldBe(others.Id);
        _ = stays;
    }

    [Fact]
    public async Task A_lease_store_that_was_away_ends_nobodys_requests()
    {
        await using var scene = new DispatcherScene();
        await scene.SubmitAsync(request => request with { Holder = "unseen" });
        await scene.DemandAsync(demand => demand.PendingRequests == 1);

        // Absent for a few seconds, away, and absent for a few more: never long enough at a stretch.
        await scene.PassAsync(2);
        scene.Leases.Away = true;
        await scene.PassAsync(2);
        scene.Leases.Away = false;
        await scene.PassAsync(3);
        await scene.LeaseGatewayAsync("unseen");
        await scene.PassAsync(10);

        scene.Demand.Latest(TestRequests.Model)!.PendingRequests.ShouldBe(1);
    }

    [Theory]
    [InlineData(Lane.Realtime)]
    [InlineData(Lane.Interactive)]
    public async Task Whom_somebody_waits_for_gets_the_place_of_batch_work_at_once_which_continues_later(Lane lane)
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync(slots: 2);
        await scene.SubmitAsync(request => request with { Lane = Lane.Batch });
        await scene.SubmitAsync(request => request with { Lane = Lane.Batch, AcceptedAt = request.AcceptedAt.AddSeconds(1) });
        _ = await worker.AssignedAsync();
        var younger = await worker.AssignedAsync();

        var urgent = await scene.SubmitAsync(request => request with { Lane = lane });

        (await worker.HearAsync<DispatcherMessage.Preempt>()).Id.ShouldBe(younger.Request.Id);
        var first = await worker.AssignedAsync(); // beside it: it has not left yet
        first.Request.Id.ShouldBe(urgent.Id);
        await worker.AppendAsync(younger, 1);
        await worker.LeftAsync(younger, AttemptOutcome.Returned);
        await worker.FinishAsync(first);
        var again = await worker.AssignedAsync();
        again.Request.Id.ShouldBe(younger.Request.Id);
        again.Output.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_loading_worker_is_seen_but_gets_nothing()
    {
        await using var scene = new DispatcherScene();
        var loading = await scene.ConnectAsync(loading: true);
        await loading.SayAsync(new WorkerMessage.Report(WorkerLoad.Idle with { LoadingProgress = 0.5 }));
        await scene.SubmitAsync();

        var demand = await scene.NextDemandAsync(demand => demand is { PendingRequests: 1, Replicas: [{ LoadingProgress: 0.5 }] });

        demand.Replicas[0].Loading.ShouldBeTrue();
        demand.PendingByOrganization.ShouldBe([new PendingShare("local", 1, 30)]);
    }
}
