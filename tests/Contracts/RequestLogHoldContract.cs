using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IRequestLog"/> does for those who hold a promise or take work over: adopt, hold, lapse, and the head.</summary>
public abstract class RequestLogHoldContract : RequestLogFollowContract
{
    [Fact]
    public async Task The_head_comes_back_as_it_was_written()
    {
        var log = await CreateAsync();
        var id = Fresh();
        var head = Head() with { Promise = Promise.Connection, Holder = "gateway ä", Owner = new Owner("org", "team/ü", "key 1"), Resumable = true, Shape = new byte[] { 0, 1, 0xFF } };
        await log.OpenAsync(id, head, Token);

        var read = (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull();

        read.Shape.ToArray().ShouldBe(head.Shape.ToArray());
        (read with { Shape = default }).ShouldBe(head with { Shape = default });
        (await log.ReadHeadAsync(Fresh(), Token)).ShouldBeNull();
    }

    [Fact]
    public async Task Another_holder_takes_the_promise_of_an_open_request()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);

        (await log.HoldAsync(id, Promise.Id, "gateway-1", Token)).ShouldBe(HoldResult.Held);

        var head = (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull();
        (head.Promise, head.Holder, head.Deadline).ShouldBe((Promise.Id, "gateway-1", TestRequests.Deadline));
    }

    [Fact]
    public async Task What_an_id_promised_no_connection_holds_again()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        await log.HoldAsync(id, Promise.Id, "", Token);

        (await log.HoldAsync(id, Promise.Connection, "gateway-1", Token)).ShouldBe(HoldResult.Held);

        var head = (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull();
        (head.Promise, head.Holder).ShouldBe((Promise.Id, ""));
    }

    [Fact]
    public async Task What_has_ended_or_never_was_keeps_its_head()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        await log.EndAsync(id, Cancelled(), Token);

        (await log.HoldAsync(id, Promise.Connection, "gateway-1", Token)).ShouldBe(HoldResult.Ended);
        (await log.HoldAsync(Fresh(), Promise.Connection, "gateway-1", Token)).ShouldBe(HoldResult.Unknown);

        (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull().Holder.ShouldBe("gateway-0");
    }

    [Fact]
    public async Task A_promotion_and_an_end_that_race_agree_on_who_was_first()
    {
        var log = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            var id = Fresh();
            await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);

            var holding = Task.Run(async () => await log.HoldAsync(id, Promise.Id, "", Token), Token);
            var lapse = await log.LapseAsync(id, "gateway-0", Cancelled(), Token);

            (await holding).ShouldBe(lapse.Ended ? HoldResult.Ended : HoldResult.Held);
        }
    }

    [Fact]
    public async Task The_request_of_a_holder_that_is_gone_ends()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection, Resumable = true }, Token);

        (await log.LapseAsync(id, "gateway-0", Cancelled(), Token)).ShouldBe(new LapseResult(true, null));
        (await log.LapseAsync(id, "gateway-0", Cancelled(), Token)).ShouldBe(new LapseResult(true, null));

        (await ReadAsync(log, id, 0)).Single().Event.ShouldBe(Cancelled());
    }

    [Fact]
    public async Task A_lapse_ends_nothing_that_another_holds_or_an_id_promises()
    {
        var log = await CreateAsync();
        var (taken, promised) = (Fresh(), await OpenAsync(log));
        await log.OpenAsync(taken, Head() with { Promise = Promise.Connection }, Token);
        await log.HoldAsync(taken, Promise.Connection, "gateway-1", Token);

        (await log.LapseAsync(taken, "gateway-0", Cancelled(), Token)).ShouldBe(new LapseResult(false, "gateway-1"));
        (await log.LapseAsync(promised, "gateway-0", Cancelled(), Token)).ShouldBe(new LapseResult(false, "gateway-0"));
        (await log.LapseAsync(Fresh(), "gateway-0", Cancelled(), Token)).ShouldBe(new LapseResult(false, null));

        (await BeginAsync(log, taken)).Status.ShouldBe(BeginStatus.Begun);
        (await BeginAsync(log, promised)).Status.ShouldBe(BeginStatus.Begun);
    }

    [Fact]
    public async Task A_request_that_several_hold_ends_with_the_last_of_them()
    {
        var log = await CreateAsync();
        foreach (var going in new[] { (string[])["gateway-0", "gateway-1", "gateway-2"], ["gateway-2", "gateway-1", "gateway-0"], ["gateway-1", "gateway-2", "gateway-0"] })
        {
            var id = Fresh();
            await log.OpenAsync(id, Head() with { Promise = Promise.Connection, Resumable = true }, Token);
            foreach (var holder in new[] { "gateway-1", "gateway-2", "gateway-2", "gateway-1", "gateway-2" }) (await log.HoldAsync(id, Promise.Connection, holder, Token)).ShouldBe(HoldResult.Held);
            (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull().Holder.ShouldBe("gateway-2");

            for (var i = 0; i < going.Length - 1; i++)
            {
                var lapse = await log.LapseAsync(id, going[i], Cancelled(), Token);
                lapse.Ended.ShouldBeFalse();
                going[(i + 1)..].ShouldContain(lapse.Holder);
                (await log.LapseAsync(id, going[i], Cancelled(), Token)).ShouldBe(lapse, "it may be repeated");
                going[(i + 1)..].ShouldContain((await log.ReadHeadAsync(id, Token)).ShouldNotBeNull().Holder);
            }

            (await log.LapseAsync(id, "gateway-9", Cancelled(), Token)).ShouldBe(new LapseResult(false, going[^1]));
            (await log.LapseAsync(id, going[^1], Cancelled(), Token)).Ended.ShouldBeTrue();
            (await ReadAsync(log, id, 0)).Single().Event.ShouldBe(Cancelled());
        }
    }

    [Fact]
    public async Task A_holder_may_leave_a_request_to_the_others_but_the_last_one_stays()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        await log.HoldAsync(id, Promise.Connection, "gateway-1", Token);

        (await log.LapseAsync(id, "gateway-0", null, Token)).ShouldBe(new LapseResult(false, "gateway-1"));
        (await log.LapseAsync(id, "gateway-1", null, Token)).ShouldBe(new LapseResult(false, "gateway-1"));
        (await log.HoldAsync(id, Promise.Connection, "gateway-2", Token)).ShouldBe(HoldResult.Held);
        (await log.LapseAsync(id, "gateway-1", null, Token)).ShouldBe(new LapseResult(false, "gateway-2"));

        (await log.LapseAsync(id, "gateway-2", Cancelled(), Token)).Ended.ShouldBeTrue();
        (await log.LapseAsync(id, "gateway-2", null, Token)).ShouldBe(new LapseResult(true, null));
        (await log.LapseAsync(Fresh(), "gateway-2", null, Token)).ShouldBe(default);
    }

    [Fact]
    public async Task A_promotion_lets_all_go_who_held_it()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        await log.HoldAsync(id, Promise.Connection, "gateway-1", Token);

        await log.HoldAsync(id, Promise.Id, "", Token);

        foreach (var holder in new[] { "gateway-0", "gateway-1" }) (await log.LapseAsync(id, holder, Cancelled(), Token)).ShouldBe(new LapseResult(false, ""));
    }

    /// <summary>Of a run of the store that is over.</summary>
    private static Fence Before(int attempt) => new("0123456789abcdef", attempt);

    [Fact]
    public async Task An_adopted_attempt_goes_on_and_writes_no_event()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0)], Token);

        var adopted = await log.AdoptAsync(id, Head(), 2, fence, Token);

        adopted.ShouldBe(new AdoptResult(BeginStatus.Begun, fence, 1));
        (await log.AppendAsync(id, fence, 2, [TestRequests.Chunk(1)], Token)).ShouldBe(AppendStatus.Accepted);
        (await BeginAsync(log, id)).Status.ShouldBe(BeginStatus.StaleEpoch);
    }

    [Fact]
    public async Task An_attempt_that_is_old_by_now_is_not_adopted()
    {
        var log = await CreateAsync();
        var (superseded, ended, stale) = (await OpenAsync(log), await OpenAsync(log), await OpenAsync(log));
        foreach (var id in new[] { superseded, superseded, ended, stale }) await BeginAsync(log, id);
        await log.EndAsync(ended, Cancelled(), Token);

        (await log.AdoptAsync(superseded, Head(), 1, Before(1), Token)).Status.ShouldBe(BeginStatus.Superseded);
        (await log.AdoptAsync(ended, Head(), 1, Before(1), Token)).Status.ShouldBe(BeginStatus.Ended);
        (await log.AdoptAsync(stale, Head(), 0, Before(1), Token)).Status.ShouldBe(BeginStatus.StaleEpoch);
        await Should.ThrowAsync<ArgumentOutOfRangeException>(async () => await log.AdoptAsync(stale, Head(), 1, Before(0), Token));
    }

    [Fact]
    public async Task A_log_that_the_store_lost_is_opened_again_by_its_adoption()
    {
        var log = await CreateAsync();
        var id = Fresh();

        var adopted = await log.AdoptAsync(id, Head(), 1, Before(3), Token);

        (adopted.Status, adopted.Fence.Attempt, adopted.LastSequence).ShouldBe((BeginStatus.Begun, 3, 0));
        (await log.AppendAsync(id, adopted.Fence, 1, [Started(3), TestRequests.Chunk(0), Finished()], Token)).ShouldBe(AppendStatus.Accepted);
        (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull().Holder.ShouldBe("gateway-0");
        (await ReadAsync(log, id, 0)).Count.ShouldBe(3);
    }

    [Fact]
    public async Task An_attempt_that_the_store_lost_fences_what_came_before_it()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var old = (await BeginAsync(log, id)).Fence;

        var adopted = await log.AdoptAsync(id, Head(), 1, Before(2), Token);

        (await log.AppendAsync(id, old, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Fenced);
        (await log.AppendAsync(id, adopted.Fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Accepted);
        (await BeginAsync(log, id)).Fence.Attempt.ShouldBe(3);
    }

    [Fact]
    public async Task An_attempt_of_the_same_number_from_before_a_loss_is_another_one()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var begun = (await BeginAsync(log, id)).Fence;

        (await log.AdoptAsync(id, Head(), 1, Before(1), Token)).Status.ShouldBe(BeginStatus.Superseded);

        (await log.AppendAsync(id, begun, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Accepted);
        (await log.AdoptAsync(id, Head(), 1, begun, Token)).ShouldBe(new AdoptResult(BeginStatus.Begun, begun, 1));
        (await log.AdoptAsync(id, Head(), 1, new Fence("", 1), Token)).ShouldBe(new AdoptResult(BeginStatus.Begun, begun, 1), "a worker of an earlier release says no run");
    }

    [Fact]
    public async Task An_adoption_whose_answer_was_lost_may_be_repeated()
    {
        var log = await CreateAsync();
        var id = Fresh();
        var adopted = await log.AdoptAsync(id, Head(), 1, Before(3), Token);

        (await log.AdoptAsync(id, Head(), 1, Before(3), Token)).ShouldBe(adopted);
        (await log.AdoptAsync(id, Head(), 2, adopted.Fence, Token)).ShouldBe(adopted);
        (await log.AdoptAsync(id, Head(), 2, new Fence("fedcba9876543210", 3), Token)).Status.ShouldBe(BeginStatus.Superseded);
    }

    [Fact]
    public async Task An_append_of_another_run_of_the_store_writes_nothing()
    {
        var log = await CreateAsync();
        var (open, ended) = (await OpenAsync(log), await OpenAsync(log));
        var fence = (await BeginAsync(log, open)).Fence with { StoreRun = "0123456789abcdef" };
        await BeginAsync(log, ended);
        await log.EndAsync(ended, Cancelled(), Token);

        (await log.AppendAsync(open, fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.StoreChanged);
        (await log.AppendAsync(Fresh(), fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.StoreChanged);
        (await log.AppendAsync(open, fence with { StoreRun = "" }, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.StoreChanged);
        (await log.AppendAsync(open, default, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Fenced);
        (await log.AppendAsync(ended, fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Ended);

        (await BeginAsync(log, open)).LastSequence.ShouldBe(0);
    }

    [Fact]
    public async Task An_answer_that_its_holder_has_given_is_kept_for_those_who_may_come_back_for_it_and_for_nobody_else()
    {
        var log = await CreateAsync();
        foreach (var (head, kept) in new[]
        {
            (Head() with { Promise = Promise.Connection }, false),
            (Head() with { Promise = Promise.Connection, Resumable = true }, true),
            (Head() with { Promise = Promise.Connection, Holder = "another's too" }, true),
            (Head(), true),
        })
        {
            var id = Fresh();
            await log.OpenAsync(id, head, Token);
            if (head.Holder == "another's too") await log.HoldAsync(id, Promise.Connection, "gateway-0", Token);
            var fence = (await BeginAsync(log, id)).Fence;
            await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0), Finished()], Token);
            (await ReadAsync(log, id, 0)).Count.ShouldBe(2);

            log.Forget(id, "gateway-0");

            if (kept) (await ReadAsync(log, id, 0)).Count.ShouldBe(2);
            else await GoneAsync(log, id);
        }
    }

    [Fact]
    public async Task A_long_output_comes_back_whole_and_in_order()
    {
        const int Tokens = 12_345;
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        var follower = ReadAsync(log, id, 0);
        foreach (var part in Enumerable.Range(0, Tokens).Chunk(1000))
            (await log.AppendAsync(id, fence, part[0] + 1, [.. part.Select(position => TestRequests.Chunk(position))], Token)).ShouldBe(AppendStatus.Accepted);

        var begun = await BeginAsync(log, id);
        await log.EndAsync(id, Cancelled(), Token);

        begun.LastSequence.ShouldBe(Tokens);
        begun.Output.Select(chunk => chunk.Position).ShouldBe(Enumerable.Range(0, Tokens));
        (await follower.WithinLimitAsync()).Select(logged => logged.Sequence).ShouldBe(Enumerable.Range(1, Tokens + 1).Select(sequence => (long)sequence));
    }
}
