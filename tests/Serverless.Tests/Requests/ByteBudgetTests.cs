using CsCheck;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Requests;

/// <summary>Bytes of one process over all models.</summary>
public sealed class ByteBudgetTests
{
    [Fact]
    public void Nobody_takes_more_than_it_leaves_and_a_newcomer_always_finds_some()
    {
        var budget = new ByteBudget(1024);
        foreach (var (organization, most) in new[] { ("a", 512), ("b", 256), ("c", 128), ("d", 64) })
        {
            for (var i = 0; i < most; i++) budget.TryTake(organization, 1).ShouldBeTrue($"{organization} {i}");
            budget.TryTake(organization, 1).ShouldBeFalse(organization);
        }

        budget.Return("a", 512);
        budget.TryTake("d", 200).ShouldBeTrue();
    }

    [Fact]
    public void The_limit_holds_in_any_order_and_what_is_given_back_is_there_again() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[1, 400], Gen.Bool).List[1, 200].Sample(steps =>
        {
            var budget = new ByteBudget(1000);
            var held = new List<(string Organization, int Bytes)>();
            foreach (var (organization, bytes, gives) in steps)
            {
                if (gives && held.Count > 0)
                {
                    budget.Return(held[0].Organization, held[0].Bytes);
                    held.RemoveAt(0);
                    continue;
                }

                var own = held.Where(entry => entry.Organization == $"{organization}").Sum(entry => entry.Bytes);
                var fits = own + bytes <= 1000 - held.Sum(entry => entry.Bytes) - bytes;
                budget.Fits($"{organization}", bytes).ShouldBe(fits);
                budget.TryTake($"{organization}", bytes).ShouldBe(fits);
                if (fits) held.Add(($"{organization}", bytes));
                budget.Held.ShouldBe(held.Sum(entry => entry.Bytes));
                budget.Held.ShouldBeLessThanOrEqualTo(1000);
            }
        });

    [Fact]
    public async Task A_queue_in_memory_holds_no_more_of_all_models_together()
    {
        var request = TestRequests.New();
        var queue = new MemoryRequestQueue(new QueueLimits { MaxTotalBytes = 8 * request.Body.Length });
        var answers = new List<EnqueueResult>();
        for (var i = 0; i < 5; i++) answers.Add(await queue.EnqueueAsync(TestRequests.New(new($"model-{i}")), TestContext.Current.CancellationToken));

        answers.Count(answer => answer.Succeeded).ShouldBe(4); // half of it
        answers[^1].Fault!.Error.ShouldBe(ServingError.QueueFull);
        queue.Check(TestRequests.New(new("model-9")) with { Owner = new Owner("other", "t", "k") }).ShouldBeNull();
    }
}
