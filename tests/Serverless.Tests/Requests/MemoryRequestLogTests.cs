using Serverless.Requests;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.Tests.Requests;

public sealed class MemoryRequestLogTests : RequestLogHoldContract
{
    private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));

    [Fact]
    public async Task An_end_that_a_connection_waited_for_is_gone_once_its_holder_has_given_it()
    {
        var log = new MemoryRequestLog(_time);
        var id = Fresh();
        await log.OpenAsync(id, Head() with { Promise = Promise.Connection }, Token);
        await log.EndAsync(id, Cancelled(), Token);

        await foreach (var logged in log.FollowAsync(id, 0, Token)) logged.Sequence.ShouldBe(1);
        log.Count.ShouldBe(1);
        log.Forget(id, "gateway-0");

        log.Count.ShouldBe(0);
    }

    [Fact]
    public async Task Ended_logs_are_kept_until_their_deadline_but_not_without_bound()
    {
        var log = new MemoryRequestLog(_time);
        var open = await OpenAsync(log);
        var first = await OpenAsync(log);
        await log.EndAsync(first, Cancelled(), Token);

        for (var i = 0; i < MemoryRequestLog.MaxEnded; i++)
        {
            log.Count.ShouldBe(i + 2);
            await log.EndAsync(await OpenAsync(log), Cancelled(), Token);
        }

        log.Count.ShouldBe(MemoryRequestLog.MaxEnded + 1);
        (await BeginAsync(log, first)).Status.ShouldBe(BeginStatus.Unknown);
        (await BeginAsync(log, open)).Status.ShouldBe(BeginStatus.Begun);
    }

    protected override ValueTask<IRequestLog> CreateAsync() => new(new MemoryRequestLog(_time, SmallOutput));

    protected override async ValueTask ExpireAsync(IRequestLog log, RequestId id)
    {
        _time.AdvanceTo(TestRequests.Deadline + MemoryRequestLog.KeptBeyondDeadline);
        await log.EndAsync(await OpenAsync(log), Cancelled(), Token); // it is the next end that clears what is past
    }
}
