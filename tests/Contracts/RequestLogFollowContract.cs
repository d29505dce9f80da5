using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IRequestLog"/> does for those who follow a log: from any sequence, nothing twice, nothing missing, up to the end.</summary>
public abstract class RequestLogFollowContract : RequestLogContract
{
    /// <summary>Bytes of output that the adapter keeps of one request.</summary>
    protected const long SmallOutput = 8 * 1024 * 1024;

    /// <summary>Makes the adapter forget this ended log, as it does in time.</summary>
    protected abstract ValueTask ExpireAsync(IRequestLog log, RequestId id);

    [Fact]
    public async Task Every_event_comes_back_as_it_was_written()
    {
        var log = await CreateAsync();
        RequestEvent[] events =
        [
            Started(1),
            new RequestEvent.Chunk(
            [
                new ChoiceChunk(0, 0, [1, 2], "text é\u0000\n") { HeldBack = new byte[] { 0xE2, 0x82 } },
                new ChoiceChunk(3, 7, [], "")
                {
                    LogProbs = [new TokenLogProb(5, new byte[] { 0xFF, 0x00 }, -0.1f, [new TokenLogProb(6, new byte[] { 65 }, float.MinValue, [])])],
                    Finish = FinishReason.Length,
                },
            ]),
            new RequestEvent.Chunk([new ChoiceChunk(0, 2, [int.MaxValue], "") { Finish = FinishReason.Stop }]),
        ];
        RequestEvent[] ends =
        [
            Finished(),
            new RequestEvent.Failed(new ServingFault(ServingError.EngineFailed, "It failed: \"é\".", "messages[0]", "a_code", TimeSpan.FromSeconds(1.5))),
            new RequestEvent.Failed(new ServingFault(ServingError.Internal, "It failed.")),
            new RequestEvent.Cancelled("The client went away."),
        ];
        foreach (var end in ends)
        {
            var id = await OpenAsync(log);
            await log.AppendAsync(id, (await BeginAsync(log, id)).Fence, 1, [.. events, end], Token);

            var read = await ReadAsync(log, id, 0);

            read.Select(logged => TestRequests.Show(logged.Event)).ShouldBe([.. events.Append(end).Select(TestRequests.Show)]);
        }
    }

    [Fact]
    public async Task A_log_is_followed_from_any_sequence()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        await log.AppendAsync(id, (await BeginAsync(log, id)).Fence, 1, [Started(1), TestRequests.Chunk(0), TestRequests.Chunk(1), Finished()], Token);

        for (var after = 0; after <= 4; after++)
        {
            (await ReadAsync(log, id, after)).Select(logged => logged.Sequence).ShouldBe(Enumerable.Range(after + 1, 4 - after).Select(sequence => (long)sequence), $"after {after}");
        }
    }

    [Fact]
    public async Task A_follower_waits_for_what_comes_and_sees_it_once_up_to_the_end()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        var followers = Enumerable.Range(0, 5).Select(after => ReadAsync(log, id, after)).ToArray();

        await log.AcceptAsync(id, TestRequests.Deadline, Token);
        var fence = (await BeginAsync(log, id)).Fence;
        for (var position = 0; position < 30; position++) await log.AppendAsync(id, fence, position + 2, [TestRequests.Chunk(position)], Token);
        await log.AppendAsync(id, fence, 32, [Finished()], Token);

        for (var after = 0; after < followers.Length; after++)
        {
            (await followers[after].WithinLimitAsync()).Select(logged => logged.Sequence).ShouldBe(Enumerable.Range(after + 1, 32 - after).Select(sequence => (long)sequence));
        }
    }

    [Fact]
    public async Task A_follower_sees_the_end_that_no_attempt_wrote()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        await log.AcceptAsync(id, TestRequests.Deadline, Token);
        var follower = ReadAsync(log, id, 0);

        await log.EndAsync(id, Cancelled(), Token);

        var read = await follower.WithinLimitAsync();
        read.Count.ShouldBe(2);
        TestRequests.Show(read[1].Event).ShouldBe(TestRequests.Show(Cancelled()));
    }

    [Fact]
    public async Task Nothing_follows_the_end()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        await log.AppendAsync(id, (await BeginAsync(log, id)).Fence, 1, [Finished(), TestRequests.Chunk(0), Finished()], Token);

        (await ReadAsync(log, id, 0)).Count.ShouldBe(1);
        (await ReadAsync(log, id, 1)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_follower_that_is_cancelled_stops()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var follower = log.FollowAsync(id, 0, stop.Token).Enumerate(stop.Token);
        var next = follower.MoveNextAsync().AsTask();

        await stop.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(next.WithinLimitAsync());
    }

    [Fact]
    public async Task What_is_not_kept_is_an_error_not_silence()
    {
        var log = await CreateAsync();
        var id = await OpenAsync(log);
        await log.EndAsync(id, Cancelled(), Token);
        (await ReadAsync(log, id, 0)).Count.ShouldBe(1);

        await ExpireAsync(log, id);

        foreach (var unknown in new[] { id, Fresh() })
        {
            var thrown = await Should.ThrowAsync<ServingException>(ReadAsync(log, unknown, 0));
            thrown.Fault.Error.ShouldBe(ServingError.LogExpired);
            thrown.Message.ShouldContain(unknown.Value);
        }
    }

    [Fact]
    public async Task Ends_that_no_attempt_wrote_are_told_to_those_who_watch_the_model()
    {
        var log = await CreateAsync();
        await using var watch = log.WatchEndsAsync(Model, Token).Enumerate(Token);
        var next = watch.MoveNextAsync().AsTask();

        // A hint from when the watcher is there, which only the first hint shows: so ends go on until one is told.
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        var ended = new List<RequestId>();
        while (!next.IsCompleted)
        {
            limit.Token.ThrowIfCancellationRequested();
            var other = Fresh();
            await log.OpenAsync(other, Head() with { Model = new ModelName($"model-{Guid.NewGuid():n}") }, Token);
            await log.EndAsync(other, Cancelled(), Token);
            var finished = await OpenAsync(log);
            await log.AppendAsync(finished, (await BeginAsync(log, finished)).Fence, 1, [Finished()], Token);

            ended.Add(await OpenAsync(log));
            await log.EndAsync(ended[^1], Cancelled(), Token);
            await Task.Yield();
        }

        (await next.WithinLimitAsync()).ShouldBeTrue();
        ended.ShouldContain(watch.Current);
        var last = await OpenAsync(log);
        await log.EndAsync(last, Cancelled(), Token);
        for (var told = watch.Current; told != last; told = watch.Current)
        {
            ended.ShouldContain(told);
            (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        }
    }

    [Fact]
    public async Task Reading_forgets_nothing_and_only_the_holder_may()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        var fence = (await BeginAsync(log, id)).Fence;
        await using var slow = log.FollowAsync(id, 0, Token).GetAsyncEnumerator(Token);
        await log.AppendAsync(id, fence, 1, [.. Enumerable.Range(0, 200).Select(position => TestRequests.Chunk(position))], Token);
        (await slow.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        await log.AppendAsync(id, fence, 201, [.. Enumerable.Range(200, 600).Select(position => TestRequests.Chunk(position)), Finished()], Token);

        for (var reader = 0; reader < 2; reader++) (await ReadAsync(log, id, 0)).Count.ShouldBe(801);
        log.Forget(id, "gateway-1");
        log.Forget(id, "");
        (await ReadAsync(log, id, 0)).Count.ShouldBe(801);

        for (var sequence = 2; sequence <= 801; sequence++)
        {
            (await slow.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            slow.Current.Sequence.ShouldBe(sequence);
        }

        (await slow.MoveNextAsync().WithinLimitAsync()).ShouldBeFalse();
        log.Forget(id, "gateway-0");
        await GoneAsync(log, id);
    }

    [Fact]
    public async Task An_open_log_is_never_forgotten()
    {
        var log = await CreateAsync();
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        var fence = (await BeginAsync(log, id)).Fence;
        await log.AppendAsync(id, fence, 1, [TestRequests.Chunk(0)], Token);

        var ended = Fresh();
        await log.OpenAsync(ended, Head() with { Promise = Promise.Connection }, Token);
        await log.AppendAsync(ended, (await BeginAsync(log, ended)).Fence, 1, [Finished()], Token);

        log.Forget(id, "gateway-0");
        log.Forget(ended, "gateway-0");
        await GoneAsync(log, ended); // what was to be forgotten before it has been looked at

        (await log.AppendAsync(id, fence, 2, [Finished()], Token)).ShouldBe(AppendStatus.Accepted);
        (await ReadAsync(log, id, 0)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Output_beyond_what_is_kept_of_one_request_ends_it_and_says_so()
    {
        var log = await CreateAsync();
        foreach (var head in new[] { Head(), Head() with { Promise = Promise.Connection } })
        {
            var id = Fresh();
            await log.OpenAsync(id, head, Token);
            var fence = (await BeginAsync(log, id)).Fence;
            var text = new string('x', 16 * 1024);
            var written = 0;
            AppendStatus status;
            while ((status = await log.AppendAsync(id, fence, written + 1, [TestRequests.Chunk(written, text)], Token)) == AppendStatus.Accepted)
                (++written).ShouldBeLessThanOrEqualTo((int)(SmallOutput / text.Length), "the bound is not kept");

            status.ShouldBe(AppendStatus.TooLarge);
            written.ShouldBeGreaterThan(0);
            (await log.AppendAsync(id, fence, written + 1, [TestRequests.Chunk(written)], Token)).ShouldBe(AppendStatus.Ended);
            var read = await ReadAsync(log, id, 0);
            read.Count.ShouldBe(written + 1);
            var fault = read[^1].Event.ShouldBeOfType<RequestEvent.Failed>().Fault;
            fault.Error.ShouldBe(ServingError.OutputTooLarge);
            fault.Message.ShouldContain($"{SmallOutput:N0}");
        }
    }

    /// <summary>Forgetting does not wait, so neither does it answer.</summary>
    protected static async Task GoneAsync(IRequestLog log, RequestId id)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        while (true)
        {
            limit.Token.ThrowIfCancellationRequested();
            try
            {
                await ReadAsync(log, id, 0);
            }
            catch (ServingException exception)
            {
                exception.Fault.Error.ShouldBe(ServingError.LogExpired);
                return;
            }
        }
    }

    protected static async Task<List<LoggedEvent>> ReadAsync(IRequestLog log, RequestId id, long after)
    {
        var read = new List<LoggedEvent>();
        await foreach (var logged in log.FollowAsync(id, after, Token)) read.Add(logged);
        return read;
    }
}
