using Serverless.Errors;
using Serverless.Hosting.Sqlite;
using Serverless.Requests;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.Tests.Sqlite;

public sealed class SqliteRequestLogTests : RequestLogFollowContract, IAsyncDisposable
{
    private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));
    private readonly DataFolder _folder = new();

    [Fact]
    public async Task What_has_ended_stays_so_after_a_restart_with_all_its_output()
    {
        var log = Log();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        RequestEvent[] events = [Started(1), TestRequests.Chunk(0, "é"), TestRequests.Chunk(1), Finished()];
        await log.AppendAsync(id, fence, 1, events, Token);
        var endedAt = (await log.ReadHeadAsync(id, Token))!.EndedAt.ShouldNotBeNull();
        _time.Advance(TimeSpan.FromMinutes(1));

        var after = Log();

        (await after.ReadHeadAsync(id, Token))!.EndedAt.ShouldBe(endedAt);
        (await BeginAsync(after, id)).Status.ShouldBe(BeginStatus.Ended);
        (await after.EndAsync(id, Cancelled(), Token)).ShouldBeFalse();
        var read = new List<string>();
        await foreach (var logged in after.FollowAsync(id, 0, Token)) read.Add(TestRequests.Show(logged.Event));
        read.ShouldBe(events.Select(TestRequests.Show));
    }

    [Fact]
    public async Task An_end_from_outside_stays_after_a_restart()
    {
        var log = Log();
        var id = await OpenAsync(log);
        await log.EndAsync(id, Cancelled(), Token);

        (await BeginAsync(Log(), id)).Status.ShouldBe(BeginStatus.Ended);
    }

    [Fact]
    public async Task A_request_that_took_three_processes_with_it_does_not_begin_again_but_is_a_dead_letter()
    {
        var request = TestRequests.New(Model) with { Promise = Promise.Id };
        await Log().OpenAsync(request.Id, Head(), Token);
        await new SqliteRequestQueue(_folder.File, new QueueLimits(), _time).EnqueueAsync(request, Token);
        for (var crashes = 0; crashes < 3; crashes++)
        {
            var begun = await BeginAsync(Log(), request.Id);
            begun.AttemptsWithoutProgress.ShouldBe(crashes);
            begun.Fence.Attempt.ShouldBe(crashes + 1);
        }

        (await BeginAsync(Log(), request.Id)).Status.ShouldBe(BeginStatus.Ended);

        (await BeginAsync(Log(), request.Id)).Status.ShouldBe(BeginStatus.Ended);
        var letter = (await new SqliteDeadLetters(_folder.File).ListAsync(10, Token)).ShouldHaveSingleItem();
        (letter.Id, letter.Reason.Error, letter.Attempts).ShouldBe((request.Id.Value, ServingError.Poisoned, 3));
    }

    [Fact]
    public async Task An_attempt_that_progressed_is_not_counted_though_the_process_was_lost()
    {
        var log = Log();
        var id = await OpenAsync(log);
        var begun = await BeginAsync(log, id);
        await log.AppendAsync(id, begun.Fence, 1, [TestRequests.Chunk(0)], Token);

        var again = await BeginAsync(Log(), id);

        again.AttemptsWithoutProgress.ShouldBe(0);
        again.Output.ShouldBeEmpty();
        again.LastSequence.ShouldBe(0);
    }

    [Fact]
    public async Task Starts_and_stops_in_good_order_are_no_fault_of_the_request()
    {
        var id = await OpenAsync(Log());

        for (var stops = 0; stops < 5; stops++)
        {
            await using var log = Log();
            (await BeginAsync(log, id)).AttemptsWithoutProgress.ShouldBe(0);
        }
    }

    [Fact]
    public async Task A_promotion_is_kept_with_its_attempts_and_what_a_connection_holds_is_not()
    {
        var log = Log();
        var (promoted, plain) = (Fresh(), Fresh());
        foreach (var id in new[] { promoted, plain }) await log.OpenAsync(id, Head() with { Promise = Promise.Connection, Shape = "shape"u8.ToArray() }, Token);
        await BeginAsync(log, promoted);

        (await log.HoldAsync(promoted, Promise.Id, "", Token)).ShouldBe(HoldResult.Held);

        var after = Log();
        (await BeginAsync(after, plain)).Status.ShouldBe(BeginStatus.Unknown);
        (await BeginAsync(after, promoted)).Fence.Attempt.ShouldBe(2);
        var head = (await after.ReadHeadAsync(promoted, Token)).ShouldNotBeNull();
        (head.Promise, head.Model, head.Deadline).ShouldBe((Promise.Id, Model, TestRequests.Deadline));
        head.Shape.ToArray().ShouldBe("shape"u8.ToArray());
    }

    [Fact]
    public async Task A_promotion_that_comes_after_the_end_keeps_nothing()
    {
        var log = Log();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        await log.EndAsync(id, Cancelled(), Token);

        (await log.HoldAsync(id, Promise.Id, "", Token)).ShouldBe(HoldResult.Ended);

        (await Log().ReadHeadAsync(id, Token)).ShouldBeNull();
    }

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    protected override ValueTask<IRequestLog> CreateAsync() => new(Log());

    protected override async ValueTask ExpireAsync(IRequestLog log, RequestId id)
    {
        _time.AdvanceTo(TestRequests.Deadline + MemoryRequestLog.KeptBeyondDeadline);
        var last = Fresh();
        await log.OpenAsync(last, Head() with { Deadline = TestRequests.Deadline.AddMinutes(10) }, Token);
        await log.EndAsync(last, Cancelled(), Token); // it is the next end that clears what is past
    }

    /// <summary>As another process would open it; nothing is stopped in good order before that.</summary>
    private SqliteRequestLog Log() => new(_folder.File, _time, 8 * 1024 * 1024);
}
