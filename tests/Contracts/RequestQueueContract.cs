using System.Text.Json;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IRequestQueue"/> does. A subclass gives the adapter; each test takes fresh model names, so that adapters may share a store.</summary>
public abstract class RequestQueueContract
{
    /// <summary>The model of this test.</summary>
    protected ModelName Model { get; } = Fresh();

    /// <summary>Which of a model's two queues the suite runs on.</summary>
    protected virtual Promise Promise => Promise.Connection;

    /// <summary>Whether <see cref="QueueDepth"/> knows tokens and bytes; an adapter whose broker counts messages alone says no.</summary>
    protected virtual bool DepthKnowsTokens => true;

    /// <summary>Whether an id that is there already is taken once; an adapter that cannot know it delivers it again.</summary>
    protected virtual bool KnowsDuplicates => true;

    /// <summary>What the queue gave up, as operators see it; null of an adapter that keeps only their number.</summary>
    protected virtual IDeadLetters? Letters => null;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>A queue with these bounds. The subclass disposes of it.</summary>
    protected abstract ValueTask<IRequestQueue> CreateAsync(QueueLimits limits);

    [Fact]
    public async Task A_request_is_delivered_as_it_was_enqueued()
    {
        var queue = await CreateAsync(new QueueLimits());
        var request = New() with
        {
            Endpoint = EndpointName.Completions,
            Choices = 3,
            Lane = Lane.Batch,
            Owner = new Owner("org", "team/ä", "key 1"),
            Conversation = "conversation:ü",
            Seed = ulong.MaxValue - 1,
        };

        (await queue.EnqueueAsync(request, Token)).Succeeded.ShouldBeTrue();
        await using var deliveries = Consume(queue);
        var delivery = await NextAsync(deliveries);

        Show(delivery.Request).ShouldBe(Show(request));
        delivery.Redelivered.ShouldBeFalse();
        await delivery.CompleteAsync(Token);
    }

    [Fact]
    public async Task A_consumer_that_waits_is_woken()
    {
        var queue = await CreateAsync(new QueueLimits());
        await using var deliveries = Consume(queue);
        var next = NextAsync(deliveries);

        var request = New();
        (await queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        (await next).Request.Id.ShouldBe(request.Id);
    }

    [Fact]
    public async Task A_model_to_which_something_is_enqueued_is_named_to_every_watch()
    {
        var queue = await CreateAsync(new QueueLimits());
        await using var first = queue.WatchArrivalsAsync(Token).Enumerate(Token);
        await using var second = queue.WatchArrivalsAsync(Token).Enumerate(Token);
        Task[] named = [NamedAsync(first), NamedAsync(second)];

        (await queue.EnqueueAsync(New(), Token)).Fault.ShouldBeNull();

        await Task.WhenAll(named);
    }

    [Fact]
    public async Task A_watch_that_begins_late_names_what_waits()
    {
        var queue = await CreateAsync(new QueueLimits());
        (await queue.EnqueueAsync(New(), Token)).Fault.ShouldBeNull();

        await using var watch = queue.WatchArrivalsAsync(Token).Enumerate(Token);

        await NamedAsync(watch);
    }

    [Fact]
    public async Task What_a_consumer_leaves_is_named_when_it_ends_and_what_comes_after_it_too()
    {
        var queue = await CreateAsync(new QueueLimits());
        await using var watch = queue.WatchArrivalsAsync(Token).Enumerate(Token);
        (await queue.EnqueueAsync(New(), Token)).Fault.ShouldBeNull();
        await NamedAsync(watch);
        await using (var deliveries = Consume(queue)) await NextAsync(deliveries);
        await NamedAsync(watch);
        await using (var deliveries = Consume(queue)) await (await NextAsync(deliveries)).CompleteAsync(Token);

        (await queue.EnqueueAsync(New(), Token)).Fault.ShouldBeNull();

        await NamedAsync(watch);
    }

    [Fact]
    public async Task Requests_come_in_the_order_in_which_they_went_in()
    {
        var queue = await CreateAsync(new QueueLimits());
        var requests = Enumerable.Range(0, 50).Select(_ => New()).ToList();
        foreach (var request in requests) (await queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        await using var deliveries = Consume(queue);

        foreach (var request in requests) (await NextAsync(deliveries)).Request.Id.ShouldBe(request.Id);
    }

    [Fact]
    public async Task Models_do_not_see_each_others_requests()
    {
        var queue = await CreateAsync(new QueueLimits());
        var (mine, other) = (New(), New() with { Model = Fresh() });
        (await queue.EnqueueAsync(other, Token)).Fault.ShouldBeNull();
        (await queue.EnqueueAsync(mine, Token)).Fault.ShouldBeNull();

        await using var mines = Consume(queue);
        await using var others = queue.ConsumeAsync(other.Model, Token).Enumerate(Token);

        (await NextAsync(mines)).Request.Id.ShouldBe(mine.Id);
        (await NextAsync(others)).Request.Id.ShouldBe(other.Id);
    }

    [Fact]
    public async Task What_many_enqueue_at_once_arrives_whole()
    {
        var queue = await CreateAsync(new QueueLimits());
        var requests = Enumerable.Range(0, 400).Select(_ => New()).ToList();
        await using var deliveries = Consume(queue);

        var enqueuing = Task.WhenAll(requests.Chunk(50).Select(chunk => Task.Run(
            async () =>
            {
                foreach (var request in chunk) (await queue.EnqueueAsync(request, Token)).Succeeded.ShouldBeTrue();
            },
            Token)));
        var missing = requests.Select(request => request.Id).ToHashSet();
        while (missing.Count > 0)
        {
            var delivery = await NextAsync(deliveries);
            missing.Remove(delivery.Request.Id);
            await delivery.CompleteAsync(Token);
        }

        await enqueuing;
        (await queue.DepthAsync(Model, Token)).Requests.ShouldBe(0);
    }

    [Fact]
    public async Task The_depth_holds_what_is_enqueued_until_it_is_completed()
    {
        var queue = await CreateAsync(new QueueLimits());
        var (first, second) = (New(), New() with { PromptTokens = 100, Choices = 2 });
        (await queue.EnqueueAsync(first, Token)).Fault.ShouldBeNull();
        (await queue.EnqueueAsync(second, Token)).Fault.ShouldBeNull();

        await DepthAsync(queue, first, second);

        await using var deliveries = Consume(queue);
        await (await NextAsync(deliveries)).CompleteAsync(Token);
        var last = await NextAsync(deliveries);
        await DepthAsync(queue, second);
        await last.CompleteAsync(Token);
        await DepthAsync(queue);
    }

    [Fact]
    public async Task An_id_that_is_there_already_succeeds_and_ends_with_one_completion_of_each_delivery()
    {
        var queue = await CreateAsync(new QueueLimits());
        var (twice, last) = (New(), New());

        (await queue.EnqueueAsync(twice, Token)).Succeeded.ShouldBeTrue();
        (await queue.EnqueueAsync(twice, Token)).Succeeded.ShouldBeTrue();
        (await queue.EnqueueAsync(last, Token)).Fault.ShouldBeNull();

        await using var deliveries = Consume(queue);
        var seen = new List<RequestId>();
        while (seen.Count == 0 || seen[^1] != last.Id)
        {
            var delivery = await NextAsync(deliveries);
            seen.Add(delivery.Request.Id);
            await delivery.CompleteAsync(Token);
        }

        seen.ShouldBe(KnowsDuplicates ? [twice.Id, last.Id] : [twice.Id, twice.Id, last.Id]);
        await DepthAsync(queue);
    }

    [Fact]
    public async Task A_promotion_to_an_id_is_delivered_beside_what_the_connection_promised()
    {
        var queue = await CreateAsync(new QueueLimits());
        var request = New() with { Promise = Promise.Connection, Holder = "gateway-0" };
        (await queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();
        await using var deliveries = Consume(queue);
        var first = await NextAsync(deliveries);
        var next = NextAsync(deliveries);

        (await queue.EnqueueAsync(request with { Promise = Promise.Id, Holder = "" }, Token)).Succeeded.ShouldBeTrue();
        var second = await next;

        (first.Request.Promise, second.Request.Promise, second.Request.Id).ShouldBe((Promise.Connection, Promise.Id, request.Id));
        await first.CompleteAsync(Token);
        await second.CompleteAsync(Token);
        await DepthAsync(queue);
    }

    [Fact]
    public async Task What_a_consumer_leaves_unanswered_is_delivered_again()
    {
        var queue = await CreateAsync(new QueueLimits());
        var (answered, open, waiting) = (New(), New(), New());
        foreach (var request in new[] { answered, open, waiting }) (await queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(Token))
        {
            await using var first = queue.ConsumeAsync(Model, stop.Token).Enumerate(stop.Token);
            await (await NextAsync(first)).CompleteAsync(Token);
            (await NextAsync(first)).Request.Id.ShouldBe(open.Id);
            await stop.CancelAsync();
        }

        await using var second = Consume(queue);
        var again = new Dictionary<RequestId, IRequestDelivery>();
        while (again.Count < 2)
        {
            var delivery = await NextAsync(second);
            again[delivery.Request.Id] = delivery;
        }

        again.Keys.ShouldBe([open.Id, waiting.Id], ignoreOrder: true);
        again[open.Id].Redelivered.ShouldBeTrue();
        foreach (var delivery in again.Values) await delivery.CompleteAsync(Token);
        await DepthAsync(queue);
    }

    [Fact]
    public async Task A_returned_request_is_delivered_again()
    {
        var queue = await CreateAsync(new QueueLimits());
        var request = New();
        (await queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();
        await using var deliveries = Consume(queue);

        await (await NextAsync(deliveries)).ReturnAsync(Token);
        var again = await NextAsync(deliveries);

        Show(again.Request).ShouldBe(Show(request));
        again.Redelivered.ShouldBeTrue();
    }

    [Fact]
    public async Task A_dead_letter_leaves_the_queue_and_is_counted()
    {
        var queue = await CreateAsync(new QueueLimits());
        var (poison, next) = (New(), New());
        (await queue.EnqueueAsync(poison, Token)).Fault.ShouldBeNull();
        (await queue.EnqueueAsync(next, Token)).Fault.ShouldBeNull();
        await using var deliveries = Consume(queue);

        await (await NextAsync(deliveries)).DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);

        (await NextAsync(deliveries)).Request.Id.ShouldBe(next.Id);
        await DepthAsync(queue, next);
        (await queue.DepthAsync(Model, Token)).DeadLetters.ShouldBe(1);
    }

    [Fact]
    public async Task Dead_letters_are_counted_listed_without_bodies_read_with_them_and_removed()
    {
        var queue = await CreateAsync(new QueueLimits());
        if (Letters is not { } letters) return;

        InferenceRequest[] poison = [New(), New(), New()];
        await using var deliveries = Consume(queue);
        (await letters.CountAsync(Token)).ShouldBe(0);
        foreach (var request in poison)
        {
            (await queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();
            await (await NextAsync(deliveries)).DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);
        }

        (await letters.CountAsync(Token)).ShouldBe(3);
        (await letters.ListAsync(2, Token)).Select(letter => letter.Id).ShouldBe(poison[..2].Select(request => request.Id.Value));
        var listed = (await letters.ListAsync(10, Token))[1];
        (listed.Reason, listed.Attempts, listed.Body.Length, listed.Bytes, listed.Request!.Body.Length).ShouldBe((new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, 0, poison[1].Body.Length, 0));
        var read = (await letters.GetAsync(poison[1].Id.Value, Token)).ShouldNotBeNull();
        Show(read.Request!).ShouldBe(Show(poison[1]));

        (await letters.RemoveAsync(poison[1].Id.Value, Token)).ShouldBeTrue();

        (await letters.RemoveAsync(poison[1].Id.Value, Token)).ShouldBeFalse();
        (await letters.GetAsync(poison[1].Id.Value, Token)).ShouldBeNull();
        (await letters.CountAsync(Token)).ShouldBe(2);
        (await letters.ListAsync(10, Token)).Select(letter => letter.Id).ShouldBe([poison[0].Id.Value, poison[2].Id.Value]);
    }

    [Fact]
    public async Task A_full_queue_refuses_in_each_of_its_bounds_and_takes_again_what_room_is_made_for()
    {
        var request = New();
        foreach (var (unit, limits) in new[]
        {
            ("requests", new QueueLimits { MaxRequests = 2 }),
            ("tokens", new QueueLimits { MaxTokens = (2 * request.MaxTotalTokens) + 1 }),
            ("bytes", new QueueLimits { MaxBytes = (2 * request.Body.Length) + 1 }),
        })
        {
            var model = Fresh();
            var queue = await CreateAsync(limits);
            (await queue.EnqueueAsync(New() with { Model = model }, Token)).Succeeded.ShouldBeTrue();
            (await queue.EnqueueAsync(New() with { Model = model }, Token)).Succeeded.ShouldBeTrue();

            var fault = (await queue.EnqueueAsync(New() with { Model = model }, Token)).Fault.ShouldNotBeNull(unit);
            fault.Error.ShouldBe(ServingError.QueueFull);
            fault.Message.ShouldContain(unit);
            fault.RetryAfter.ShouldNotBeNull();

            await using var deliveries = queue.ConsumeAsync(model, Token).Enumerate(Token);
            await (await NextAsync(deliveries)).CompleteAsync(Token);
            (await queue.EnqueueAsync(New() with { Model = model }, Token)).Succeeded.ShouldBeTrue(unit);
        }
    }

    [Fact]
    public async Task An_organization_takes_no_more_than_its_share()
    {
        var queue = await CreateAsync(new QueueLimits { MaxRequests = 4, TenantShare = 0.5 });
        var (greedy, modest) = (new Owner("greedy", "team", "key"), new Owner("modest", "team", "key"));

        (await queue.EnqueueAsync(New() with { Owner = greedy }, Token)).Succeeded.ShouldBeTrue();
        (await queue.EnqueueAsync(New() with { Owner = greedy with { Team = "other" } }, Token)).Succeeded.ShouldBeTrue();
        var refused = await queue.EnqueueAsync(New() with { Owner = greedy with { Key = "third" } }, Token);

        refused.Fault.ShouldNotBeNull().Message.ShouldContain("share");
        (await queue.EnqueueAsync(New() with { Owner = modest }, Token)).Succeeded.ShouldBeTrue();
        (await queue.EnqueueAsync(New() with { Owner = modest }, Token)).Succeeded.ShouldBeTrue();
    }

    /// <summary>A request of this test's model.</summary>
    protected InferenceRequest New() => TestRequests.New(Model) with { Promise = Promise };

    private static ModelName Fresh() => new($"model-{Guid.NewGuid():n}");

    private static async Task<IRequestDelivery> NextAsync(IAsyncEnumerator<IRequestDelivery> deliveries)
    {
        (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue("the consumer ended");
        return deliveries.Current;
    }

    private static string Show(InferenceRequest request) => JsonSerializer.Serialize(request);

    private async Task NamedAsync(IAsyncEnumerator<ModelName> watch)
    {
        do (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        while (watch.Current != Model);
    }

    private IAsyncEnumerator<IRequestDelivery> Consume(IRequestQueue queue) => queue.ConsumeAsync(Model, Token).Enumerate(Token);

    private async Task DepthAsync(IRequestQueue queue, params InferenceRequest[] held)
    {
        var depth = await queue.DepthAsync(Model, Token);
        depth.Requests.ShouldBe(held.Length);
        if (!DepthKnowsTokens) return;
        depth.Tokens.ShouldBe(held.Sum(request => request.MaxTotalTokens));
        depth.Bytes.ShouldBe(held.Sum(request => request.Body.Length));
    }
}
