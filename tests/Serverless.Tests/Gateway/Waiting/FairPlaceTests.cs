using CsCheck;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Gateway.Waiting;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Tests.Dispatching;
using Shouldly;

namespace Serverless.Tests.Gateway.Waiting;

/// <summary>What is ahead of a request is told by its organization's own place in the fair order, never by the whole queue.</summary>
public sealed class FairPlaceTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);

    private static readonly ModelDemand Full = new()
    {
        Model = TestRequests.Model,
        At = Now,
        PendingRequests = 2001,
        PendingPromptTokens = 1_000_010,
        PendingTokensByLane = [0, 1_000_010, 0],
        PendingByOrganization = [new PendingShare("greedy", 2000, 1_000_000), new PendingShare("modest", 1, 10)],
        ServedTokensPerSecond = 100,
    };

    [Fact]
    public void A_newcomer_is_next_and_nobody_waits_for_more_of_another_than_it_asks_for_itself()
    {
        new FairPlace(Lane.Interactive, "new").TokensAhead(Full).ShouldBe(0);
        new FairPlace(Lane.Interactive, "modest").TokensAhead(Full).ShouldBe(20); // its own 10, and as much of the other
        new FairPlace(Lane.Interactive, "greedy").TokensAhead(Full).ShouldBe(1_000_010);
        new FairPlace(Lane.Interactive).TokensAhead(Full).ShouldBe(1_000_010); // nobody known: the whole queue
        new FairPlace(Lane.Interactive, "new").TokensAhead(Full with { PendingByOrganization = [] }).ShouldBe(1_000_010); // shares not told
    }

    [Fact]
    public void Lanes_above_are_ahead_whole_and_what_may_be_elsewhere_is_not_taken_to_be_here()
    {
        var demand = Full with { PendingTokensByLane = [300, 10, 1_000_000], PendingByOrganization = [new PendingShare("greedy", 2000, 1_000_300), new PendingShare("modest", 1, 10)] };

        new FairPlace(Lane.Interactive, "greedy").TokensAhead(demand).ShouldBe(300);
        new FairPlace(Lane.Batch, "greedy").TokensAhead(demand).ShouldBe(310 + 999_990);
        new FairPlace(Lane.Batch, "new").TokensAhead(demand).ShouldBe(310);
    }

    [Fact]
    public void What_the_demand_does_not_count_yet_is_shared_alike()
    {
        var unseen = new Dictionary<(Lane Lane, string Organization), long> { [(Lane.Interactive, "greedy")] = 500, [(Lane.Interactive, "modest")] = 30, [(Lane.Realtime, "vip")] = 7, [(Lane.Batch, "vip")] = 1000 };

        new FairPlace(Lane.Interactive, "modest") { Unseen = unseen }.TokensAhead(null).ShouldBe(7 + 30 + 30);
        new FairPlace(Lane.Interactive, "new") { Unseen = unseen }.TokensAhead(null).ShouldBe(7);
        new FairPlace(Lane.Interactive, "modest") { Unseen = unseen }.TokensAhead(Full).ShouldBe(7 + 40 + 40);
    }

    [Fact]
    public void A_request_of_a_quiet_organization_is_let_in_beside_another_that_fills_the_queue()
    {
        var demand = new MemoryDemandFeed();
        var capacity = new MemoryCapacityFeed();
        var time = new TestClock(Now);
        var view = new QueueView(capacity, demand, Options.Create(new WaitOptions()), time);
        var model = new Model
        {
            Name = TestRequests.Model,
            Family = "test",
            Source = new ModelSource("simulated", "m"),
            ContextTokens = 100,
            Backend = "simulated",
            Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        };
        capacity.Publish(new PoolCapacity { Pool = model.Pools[0].Name, Desired = 1, Ready = 1 });
        demand.Publish(Full);
        var request = TestRequests.New() with { AcceptedAt = Now, Deadline = Now.AddSeconds(600) };

        view.RequireReachable(model, request with { Owner = new Owner("new", "t", "k") }).TokensAhead.ShouldBe(0);
        Should.Throw<ServingException>(() => view.RequireReachable(model, request with { Owner = new Owner("greedy", "t", "k") })).Fault.Error.ShouldBe(ServingError.DeadlineUnreachable);
    }

    /// <summary>
    /// Against the backlog itself: whatever organizations wait for, what it really serves before a request of one of them is what was told, but for a request of each organization, as shares
    /// are kept to a request.
    /// </summary>
    [Fact]
    public void What_is_told_is_what_the_backlog_serves_first() =>
        Gen.Select(Gen.Int[1, 60].List[0, 25].List[1, 5], Gen.Int[0, 4]).Sample((tokens, asking) =>
        {
            var backlog = new Backlog();
            for (var organization = 0; organization < tokens.Count; organization++)
            {
                foreach (var prompt in tokens[organization]) backlog.Put(Entry($"org-{organization}", prompt));
            }

            var told = new FairPlace(Lane.Interactive, $"org-{asking}").TokensAhead(Demand(backlog));
            var mine = Entry($"org-{asking}", 1);
            backlog.Put(mine);

            var served = 0L;
            while (backlog.Peek() is { } next && next != mine)
            {
                served += next.ExpectedTokens;
                backlog.Take(next);
            }

            const int Longest = 61;
            Math.Abs(served - told).ShouldBeLessThanOrEqualTo(Longest * (tokens.Count + 1));
        });

    [Fact]
    public void Turns_that_wait_for_the_one_before_them_are_ahead_of_nobody()
    {
        var backlog = new Backlog();
        for (var turn = 0; turn < 100; turn++) backlog.Put(BacklogScene.Entry("org", prompt: 500, output: 500, conversation: "tale"));
        backlog.Take(backlog.Peek()!);

        new FairPlace(Lane.Interactive, "org").TokensAhead(Demand(backlog)).ShouldBe(0);

        backlog.Put(BacklogScene.Entry("org", prompt: 30, output: 70));
        new FairPlace(Lane.Interactive, "org").TokensAhead(Demand(backlog)).ShouldBe(100);
    }

    private static ModelDemand Demand(Backlog backlog) => new()
    {
        Model = TestRequests.Model,
        At = Now,
        PendingRequests = backlog.Count,
        PendingPromptTokens = backlog.PromptTokens,
        PendingOutputTokens = backlog.OutputTokens,
        PendingTokensByLane = backlog.TokensByLane,
        PendingByOrganization = backlog.Organizations(32),
    };

    private static BacklogEntry Entry(string organization, int promptTokens) =>
        new(new Delivery(TestRequests.New() with { Owner = new Owner(organization, "t", "k"), PromptTokens = promptTokens, MaxOutputTokens = 1 }), 0);

    private sealed record Delivery(InferenceRequest Request) : IRequestDelivery
    {
        public bool Redelivered => false;

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask ReturnAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
