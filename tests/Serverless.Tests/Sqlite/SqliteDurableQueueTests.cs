using Serverless.Errors;
using Serverless.Hosting.Sqlite;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Sqlite;

/// <summary>What an id promises: the same contract, and what survives a restart.</summary>
public sealed class SqliteDurableQueueTests : SqliteRequestQueueTests
{
    protected override Promise Promise => Promise.Id;

    [Fact]
    public async Task A_restart_delivers_again_what_was_not_done_with_in_order()
    {
        var queue = Queue();
        var requests = Enumerable.Range(0, 5).Select(_ => New()).ToList();
        foreach (var request in requests) await queue.EnqueueAsync(request, Token);
        await (await TakeAsync(queue)).CompleteAsync(Token);

        await Folder.ReopenAsync();

        var again = Queue();
        (await again.DepthAsync(requests[0].Model, Token)).Requests.ShouldBe(4);
        await using var deliveries = again.ConsumeAsync(requests[0].Model, Token).Enumerate(Token);
        foreach (var request in requests[1..])
        {
            await deliveries.MoveNextAsync().WithinLimitAsync();
            deliveries.Current.Request.Id.ShouldBe(request.Id);
            deliveries.Current.Request.Body.ToArray().ShouldBe(request.Body.ToArray());
            deliveries.Current.Redelivered.ShouldBeTrue();
        }
    }

    [Fact]
    public async Task A_restart_takes_back_more_than_lowered_bounds_allow()
    {
        foreach (var request in new[] { New(), New(), New() }) await Queue().EnqueueAsync(request, Token);

        var narrow = Queue(new QueueLimits { MaxRequests = 1 });

        (await narrow.DepthAsync(New().Model, Token)).Requests.ShouldBe(3);
        (await narrow.EnqueueAsync(New(), Token)).Fault.ShouldNotBeNull().Error.ShouldBe(ServingError.QueueFull);
    }

    [Fact]
    public async Task What_was_refused_is_not_on_disk()
    {
        var queue = Queue(new QueueLimits { MaxRequests = 8 });

        var results = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => queue.EnqueueAsync(New(), Token).AsTask()));

        results.Count(result => result.Succeeded).ShouldBe(8);
        (await Queue().DepthAsync(New().Model, Token)).Requests.ShouldBe(8);
    }

    [Fact]
    public async Task A_disk_that_refuses_promises_nothing()
    {
        var queue = Queue();
        await Folder.File.DisposeAsync();

        (await queue.EnqueueAsync(New(), Token)).Fault.ShouldNotBeNull().Error.ShouldBe(ServingError.StoreUnavailable);
    }

    [Fact]
    public async Task Dead_letters_outlive_the_process_with_reason_attempts_and_error()
    {
        var (queue, request) = (Queue(), New());
        await queue.EnqueueAsync(request, Token);
        await (await TakeAsync(queue)).DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);

        await Folder.ReopenAsync();

        var letters = new SqliteDeadLetters(Folder.File);
        var letter = (await letters.ListAsync(10, Token)).ShouldHaveSingleItem();
        letter.Id.ShouldBe(request.Id.Value);
        letter.Reason.ShouldBe(new ServingFault(ServingError.Poisoned, "Three attempts were lost."));
        letter.Attempts.ShouldBe(3);
        letter.Request.ShouldNotBeNull().Seed.ShouldBe(request.Seed);
        (await Queue().DepthAsync(request.Model, Token)).ShouldBe(new QueueDepth(0, 0, 0, 1));
        (await letters.RemoveAsync(letter.Id, Token)).ShouldBeTrue();
        (await letters.RemoveAsync(letter.Id, Token)).ShouldBeFalse();
        (await letters.GetAsync(letter.Id, Token)).ShouldBeNull();
    }

    [Fact]
    public async Task A_redrive_is_one_new_request_however_often_it_is_asked_for()
    {
        var (queue, request) = (Queue(), New());
        var (letters, log) = (new SqliteDeadLetters(Folder.File), new SqliteRequestLog(Folder.File, TimeProvider.System));
        await queue.EnqueueAsync(request, Token);
        await (await TakeAsync(queue)).DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);
        var redrive = new Redrive(letters, queue, log, TimeProvider.System);

        var id = await redrive.SendAsync(request.Id.Value, Token);

        id.ShouldNotBe(request.Id);
        id.Value.ShouldStartWith("chatcmpl-");
        (await letters.ListAsync(10, Token)).ShouldBeEmpty();
        var again = (await TakeAsync(queue)).Request;
        (again.Id, again.Promise, again.Seed, again.Deadline - again.AcceptedAt).ShouldBe((id, Promise.Id, request.Seed, request.Deadline - request.AcceptedAt));
        (await log.ReadHeadAsync(id, Token)).ShouldNotBeNull().Owner.ShouldBe(request.Owner);
        (await Should.ThrowAsync<ServingException>(async () => await redrive.SendAsync(request.Id.Value, Token))).Fault.Error.ShouldBe(ServingError.RequestNotFound);
    }

    private async Task<IRequestDelivery> TakeAsync(SqliteRequestQueue queue)
    {
        var deliveries = queue.ConsumeAsync(Model, Token).Enumerate(Token);
        await deliveries.MoveNextAsync().WithinLimitAsync();
        return deliveries.Current; // its consumer stays open: what it has is neither done with nor returned
    }
}
