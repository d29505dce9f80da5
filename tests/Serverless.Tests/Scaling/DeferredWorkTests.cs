using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>Work that nobody waits for has until its deadline; what is due first counts first.</summary>
public sealed class DeferredWorkTests
{
    [Fact]
    public void Batch_work_takes_no_more_replicas_than_its_deadline_asks_for()
    {
        Replicas(Batch(3600, within: 7200)).ShouldBe(1, "an hour of work in two hours");
        Replicas(Batch(3600, within: 1210)).ShouldBe(3, "in twenty minutes after a start");
        Replicas(Batch(3600, within: 0), options: Uncapped).ShouldBe(720, "overdue: as if somebody waited");
    }

    [Fact]
    public void Work_is_due_in_order_of_its_deadlines()
    {
        var demand = Idle() with
        {
            PendingRequests = 30,
            PendingPromptTokens = 2_000_000,
            Deferred = [new DueWork(Start.AddSeconds(1010), 10, 1_500_000, 0), new DueWork(Start.AddSeconds(100_000), 10, 400_000, 0)],
        };

        // 100 s at once: (100 − 0) / 5 capped at 14; 1,600 s in 1,000 s; 2,000 s in a day.
        Replicas(demand).ShouldBe(14);
        Replicas(demand with { PendingPromptTokens = 1_900_000 }).ShouldBe(2);
    }

    [Fact]
    public void A_later_deadline_never_needs_more_replicas() =>
        Gen.Select(Gen.Int[1, 3000], Gen.Double[0, 5000], Gen.Double[0, 5000], Gen.Int[0, 20]).Sample((seconds, due, more, ready) =>
            Replicas(Batch(seconds, due + more), Capacity(ready)) <= Replicas(Batch(seconds, due), Capacity(ready)));

    [Fact]
    public void The_ledger_holds_the_sums_of_what_is_pending()
    {
        var requests = Gen.Select(Gen.Int[0, 5000], Gen.Int[1, 100], Gen.Int[1, 50], Gen.Bool, Gen.Bool).Array[0, 200];
        requests.Sample(all =>
        {
            var ledger = new DueLedger();
            List<BacklogEntry> left = [];
            foreach (var (due, prompt, output, batch, leaves) in all)
            {
                var entry = Entry(due, prompt, output, batch);
                ledger.Add(entry.Due);
                if (leaves) ledger.Remove(entry.Due);
                else left.Add(entry);
            }

            var deferred = left.Where(entry => entry.Request.Lane == Lane.Batch).ToArray();
            ledger.Batch.Sum(part => part.Requests).ShouldBe(deferred.Length);
            ledger.Batch.Sum(part => part.PromptTokens).ShouldBe(deferred.Sum(entry => entry.Request.PromptTokens));
            ledger.Batch.Sum(part => part.OutputTokens).ShouldBe(deferred.Sum(entry => entry.ExpectedOutputTokens));
            ledger.Batch.Count.ShouldBeLessThanOrEqualTo(16);
            ledger.Batch.Select(part => part.Due).ShouldBeInOrder();
            var waited = left.Where(entry => entry.Request.Lane != Lane.Batch).Select(entry => entry.Request.Deadline).ToArray();
            (ledger.EarliestWaited is null).ShouldBe(waited.Length == 0);
            if (waited.Length > 0) (waited.Min() - ledger.EarliestWaited!.Value).ShouldBeInRange(TimeSpan.Zero, TimeSpan.FromMinutes(1));
        });
    }

    private static ModelDemand Batch(int replicaSeconds, double within) => Idle() with
    {
        PendingRequests = replicaSeconds,
        PendingPromptTokens = replicaSeconds * 1000L,
        Deferred = [new DueWork(Start.AddSeconds(within), replicaSeconds, replicaSeconds * 1000L, 0)],
    };

    private static BacklogEntry Entry(int due, int prompt, int output, bool batch) => new(
        new StubDelivery(new InferenceRequest
        {
            Id = new RequestId("r"),
            Model = new ModelName("m"),
            Endpoint = EndpointName.ChatCompletions,
            Body = default,
            PromptTokens = prompt,
            MaxOutputTokens = 100,
            Lane = batch ? Lane.Batch : Lane.Interactive,
            Seed = 0,
            AcceptedAt = Start,
            Deadline = Start.AddSeconds(due),
        }),
        output);

    private sealed class StubDelivery(InferenceRequest request) : IRequestDelivery
    {
        public InferenceRequest Request => request;

        public bool Redelivered => false;

        public ValueTask CompleteAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask ReturnAsync(CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
