using Serverless.Catalog;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>
/// What every adapter of <see cref="IRequestLog"/> does: one fence, one end, no gap. A subclass gives the adapter; each test takes fresh ids and model names, so that
/// adapters may share a store. How a log is followed is in <see cref="RequestLogFollowContract"/>.
/// </summary>
public abstract class RequestLogContract
{
    /// <summary>The model of this test.</summary>
    protected ModelName Model { get; } = new($"model-{Guid.NewGuid():n}");

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Opening_a_log_again_changes_nothing()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0)], Token);

        await log.OpenAsync(id, Head(), Token);

        (await log.AppendAsync(id, fence, 2, [TestRequests.Chunk(1)], Token)).ShouldBe(AppendStatus.Accepted);
        (await BeginAsync(log, id)).Output.Count.ShouldBe(2);
    }

    [Fact]
    public async Task A_request_is_accepted_once()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => log.AcceptAsync(id, TestRequests.Deadline, Token).AsTask()));

        answers.Count(accepted => accepted).ShouldBe(1);
        (await BeginAsync(log, id)).LastSequence.ShouldBe(1);
    }

    [Fact]
    public async Task What_has_ended_or_never_was_is_not_accepted()
    {
        var log = await CreateAsync();
        var ended = await OpenAsync(log);
        await log.EndAsync(ended, Cancelled(), Token);

        (await log.AcceptAsync(ended, TestRequests.Deadline, Token)).ShouldBeFalse();
        (await log.AcceptAsync(Fresh(), TestRequests.Deadline, Token)).ShouldBeFalse();
    }

    [Fact]
    public async Task When_it_ended_stays_what_it_was()
    {
        var log = await CreateAsync();
        var (appended, cancelled, open) = (await OpenAsync(log), await OpenAsync(log), await OpenAsync(log));
        var fence = (await BeginAsync(log, appended)).Fence;
        await log.AppendAsync(appended, fence, 1, [TestRequests.Chunk(0), new RequestEvent.Finished(new TokenUsage(1, 1))], Token);
        await log.EndAsync(cancelled, Cancelled(), Token);

        foreach (var id in (RequestId[])[appended, cancelled])
        {
            var first = (await log.ReadHeadAsync(id, Token))!.EndedAt.ShouldNotBeNull();
            await log.EndAsync(id, Cancelled(), Token);
            (await log.ReadHeadAsync(id, Token))!.EndedAt.ShouldBe(first);
        }

        (await log.ReadHeadAsync(open, Token))!.EndedAt.ShouldBeNull();
    }

    [Fact]
    public async Task What_has_begun_counts_as_accepted()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        await BeginAsync(log, id);

        (await log.AcceptAsync(id, TestRequests.Deadline, Token)).ShouldBeFalse();
        (await BeginAsync(log, id)).LastSequence.ShouldBe(0);
    }

    [Fact]
    public async Task A_first_attempt_begins_with_nothing_to_continue()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);

        var begun = await BeginAsync(log, id);

        begun.Status.ShouldBe(BeginStatus.Begun);
        begun.Fence.Attempt.ShouldBe(1);
        begun.Fence.StoreRun.ShouldNotBeNullOrEmpty();
        begun.LastSequence.ShouldBe(0);
        begun.Output.ShouldBeEmpty();
        begun.AttemptsWithoutProgress.ShouldBe(0);
    }

    [Fact]
    public async Task The_same_nonce_gets_the_same_answer_and_raises_no_attempt()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var nonce = Guid.NewGuid();

        var first = await log.BeginAsync(id, 1, nonce, Token);
        var again = await log.BeginAsync(id, 1, nonce, Token);

        again.Fence.ShouldBe(first.Fence);
        again.AttemptsWithoutProgress.ShouldBe(0);
        (await log.AppendAsync(id, first.Fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Accepted);
    }

    [Fact]
    public async Task The_next_attempt_continues_from_what_is_logged_and_fences_the_one_before()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var old = (await BeginAsync(log, id)).Fence;
        await log.AppendAsync(id, old, 1, [Started(1), TestRequests.Chunk(0, "a"), TestRequests.Chunk(1, "b")], Token);

        var next = await BeginAsync(log, id);

        next.Fence.Attempt.ShouldBe(2);
        next.LastSequence.ShouldBe(3);
        next.Output.Select(chunk => (chunk.Position, chunk.Text)).ShouldBe([(0, "a"), (1, "b")]);
        (await log.AppendAsync(id, old, 4, [TestRequests.Chunk(2)], Token)).ShouldBe(AppendStatus.Fenced);
        (await log.AppendAsync(id, next.Fence with { StoreRun = "another run" }, 4, [TestRequests.Chunk(2)], Token)).ShouldBe(AppendStatus.StoreChanged);
        (await log.AppendAsync(id, next.Fence, 4, [TestRequests.Chunk(2)], Token)).ShouldBe(AppendStatus.Accepted);
    }

    [Fact]
    public async Task Attempts_without_a_chunk_are_counted_until_one_comes()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);

        (await BeginAsync(log, id)).AttemptsWithoutProgress.ShouldBe(0);
        var second = await BeginAsync(log, id);
        second.AttemptsWithoutProgress.ShouldBe(1);
        await log.AppendAsync(id, second.Fence, 1, [Started(2)], Token);
        var third = await BeginAsync(log, id);
        third.AttemptsWithoutProgress.ShouldBe(2);

        await log.AppendAsync(id, third.Fence, 2, [TestRequests.Chunk(0)], Token);

        (await BeginAsync(log, id)).AttemptsWithoutProgress.ShouldBe(0);
    }

    [Fact]
    public async Task An_epoch_below_the_highest_of_the_model_is_refused()
    {
        var log = await CreateAsync();
        var (first, second) = (await OpenAsync(log), await OpenAsync(log));
        var stranger = Fresh();
        await log.OpenAsync(stranger, Head() with { Model = new ModelName($"model-{Guid.NewGuid():n}") }, Token);

        (await log.BeginAsync(first, 7, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Begun);

        (await log.BeginAsync(second, 6, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.StaleEpoch);
        (await log.BeginAsync(second, 7, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Begun);
        (await log.BeginAsync(second, long.MaxValue / 1000, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Begun);
        (await log.BeginAsync(stranger, 1, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Begun);
    }

    [Fact]
    public async Task What_has_ended_or_never_was_does_not_begin_and_takes_no_events()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        await log.EndAsync(id, Cancelled(), Token);

        (await BeginAsync(log, id)).Status.ShouldBe(BeginStatus.Ended);
        (await log.AppendAsync(id, fence, 2, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Ended);
        (await BeginAsync(log, Fresh())).Status.ShouldBe(BeginStatus.Unknown);
        (await log.AppendAsync(Fresh(), fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Unknown);
        (await log.EndAsync(Fresh(), Cancelled(), Token)).ShouldBeFalse();
    }

    [Fact]
    public async Task A_gap_is_refused_and_leaves_nothing()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;

        (await log.AppendAsync(id, fence, 2, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Gap);

        (await BeginAsync(log, id)).LastSequence.ShouldBe(0);
    }

    [Fact]
    public async Task What_is_there_already_is_accepted_and_changes_nothing()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        RequestEvent[] written = [Started(1), TestRequests.Chunk(0), TestRequests.Chunk(1)];
        await log.AppendAsync(id, fence, 1, written, Token);

        (await log.AppendAsync(id, fence, 1, written, Token)).ShouldBe(AppendStatus.Accepted);
        (await log.AppendAsync(id, fence, 2, [written[1]], Token)).ShouldBe(AppendStatus.Accepted);
        (await log.AppendAsync(id, fence, 3, [written[2], TestRequests.Chunk(2)], Token)).ShouldBe(AppendStatus.Accepted);

        var begun = await BeginAsync(log, id);
        begun.LastSequence.ShouldBe(4);
        begun.Output.Select(chunk => chunk.Position).ShouldBe([0, 1, 2]);
    }

    [Fact]
    public async Task The_end_may_be_written_again_by_the_attempt_that_wrote_it()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        RequestEvent[] written = [TestRequests.Chunk(0), Finished()];

        (await log.AppendAsync(id, fence, 1, written, Token)).ShouldBe(AppendStatus.Accepted);
        (await log.AppendAsync(id, fence, 1, written, Token)).ShouldBe(AppendStatus.Accepted);
        (await log.AppendAsync(id, fence, 3, [TestRequests.Chunk(1)], Token)).ShouldBe(AppendStatus.Ended);
        (await log.EndAsync(id, Cancelled(), Token)).ShouldBeFalse();
    }

    [Fact]
    public async Task An_end_from_outside_is_not_taken_for_a_repeat_of_what_the_attempt_wrote()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var fence = (await BeginAsync(log, id)).Fence;
        await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0)], Token);
        await log.EndAsync(id, Cancelled(), Token);

        (await log.AppendAsync(id, fence, 2, [Finished()], Token)).ShouldBe(AppendStatus.Ended);
        (await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0), TestRequests.Chunk(1)], Token)).ShouldBe(AppendStatus.Ended);
        (await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0)], Token)).ShouldBe(AppendStatus.Accepted);
    }

    [Fact]
    public async Task Only_a_terminal_event_ends_a_request()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);

        await Should.ThrowAsync<ArgumentException>(async () => await log.EndAsync(id, TestRequests.Chunk(0), Token));

        (await BeginAsync(log, id)).Status.ShouldBe(BeginStatus.Begun);
    }

    [Fact]
    public async Task The_first_end_wins()
    {
        var log = await CreateAsync();
        for (var round = 0; round < 20; round++)
        {
            var id = await OpenAsync(log);
            var fence = (await BeginAsync(log, id)).Fence;

            var appending = Task.Run(async () => await log.AppendAsync(id, fence, 1, [Finished()], Token), Token);
            var ending = Enumerable.Range(0, 4).Select(_ => Task.Run(async () => await log.EndAsync(id, Cancelled(), Token), Token)).ToArray();

            var appended = await appending == AppendStatus.Accepted;
            var ended = (await Task.WhenAll(ending)).Count(won => won);
            (ended + (appended ? 1 : 0)).ShouldBe(1);
        }
    }

    [Fact]
    public async Task Whatever_attempts_race_the_log_has_no_gap_and_only_the_newest_speaks()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);

        // Each writes its attempt's number until it is fenced off; a chunk's token says who wrote it.
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(
            async () =>
            {
                for (var attempt = 0; attempt < 4; attempt++)
                {
                    var begun = await BeginAsync(log, id);
                    var next = begun.LastSequence + 1;
                    for (var i = 0; i < 5; i++)
                    {
                        var chunk = new RequestEvent.Chunk([new ChoiceChunk(0, (int)next - 1, [begun.Fence.Attempt], "")]);
                        if (await log.AppendAsync(id, begun.Fence, next, [chunk], Token) != AppendStatus.Accepted) break;
                        next++;
                    }
                }
            },
            Token)));

        var output = (await BeginAsync(log, id)).Output;
        output.Select(chunk => chunk.Position).ShouldBe(Enumerable.Range(0, output.Count));
        output.Select(chunk => chunk.TokenIds[0]).ShouldBeInOrder();
    }

    /// <summary>A log. The subclass disposes of it.</summary>
    protected abstract ValueTask<IRequestLog> CreateAsync();

    protected static RequestId Fresh() => RequestId.New("chatcmpl-");

    protected static RequestEvent Cancelled() => new RequestEvent.Cancelled("The test ends it.");

    protected static RequestEvent Finished() => new RequestEvent.Finished(new TokenUsage(10, 2, 1));

    protected static RequestEvent Started(int attempt) => new RequestEvent.Started(attempt, "replica-0", TestRequests.Deadline);

    protected static ValueTask<BeginResult> BeginAsync(IRequestLog log, RequestId id) => log.BeginAsync(id, 1, Guid.NewGuid(), Token);

    /// <summary>Held by an id, so that its end may be read more than once.</summary>
    protected LogHead Head() => new(Model, Promise.Id, "gateway-0", TestRequests.Deadline);

    protected async Task<RequestId> OpenAsync(IRequestLog log)
    {
        var id = Fresh();
        await log.OpenAsync(id, Head(), Token);
        return id;
    }
}
