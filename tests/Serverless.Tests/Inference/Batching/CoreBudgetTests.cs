using CsCheck;
using Serverless.Inference.Batching;
using Shouldly;

namespace Serverless.Tests.Inference.Batching;

public sealed class CoreBudgetTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void One_that_computes_alone_has_all_cores_and_two_have_half_each()
    {
        var budget = new CoreBudget(8);
        using var one = budget.Join(8);
        using var two = budget.Join(8);

        one.Begin();
        one.Threads.ShouldBe(8);
        two.Begin();
        (one.Threads, two.Threads).ShouldBe((4, 4));
        one.End();
        two.Threads.ShouldBe(8);
    }

    [Fact]
    public void What_one_has_no_use_for_is_the_others()
    {
        var budget = new CoreBudget(8);
        using var small = budget.Join(1);
        using var large = budget.Join(64);

        large.Begin();
        small.Begin();

        (small.Threads, large.Threads).ShouldBe((1, 7));
        large.Most.ShouldBe(8, "more than the cores are of no use to anybody");
    }

    [Fact]
    public void Together_they_never_have_more_threads_than_cores_nor_any_of_them_none() =>
        Gen.Select(Gen.Int[1, 64], Gen.Int[1, 100].Array[1, 12], Gen.Int[0, 11].Array[0, 40]).Sample((cores, wanted, toggles) =>
        {
            var budget = new CoreBudget(cores);
            var shares = Array.ConvertAll(wanted, budget.Join);
            var busy = new HashSet<CoreShare>();
            foreach (var share in toggles.Where(index => index < shares.Length).Select(index => shares[index]))
            {
                if (busy.Add(share)) share.Begin();
                else
                {
                    busy.Remove(share);
                    share.End();
                }

                busy.ShouldAllBe(one => one.Threads >= 1 && one.Threads <= one.Most);
                busy.Sum(one => one.Threads).ShouldBeLessThanOrEqualTo(Math.Max(cores, busy.Count));
                busy.Sum(one => one.Threads).ShouldBeGreaterThanOrEqualTo(Math.Min(cores, busy.Sum(one => one.Most)), "no core is left idle that somebody has use for");
            }
        });

    /// <summary>Two replicas of the shipped model on two cores, of which each would have used both: a thread each while both compute, and the answers of an engine alone.</summary>
    [Fact]
    public async Task Two_engines_of_a_process_share_its_cores_and_answer_as_one_alone()
    {
        var alone = await AnswersAsync(new CoreBudget(2), engines: 1);
        var budget = new CoreBudget(2);

        (await AnswersAsync(budget, engines: 2)).ShouldAllBe(answer => answer == alone[0]);

        using var next = budget.Join(2);
        next.Begin();
        next.Threads.ShouldBe(2, "those that were put away have given back what they had");
    }

    private static async Task<string[]> AnswersAsync(CoreBudget budget, int engines)
    {
        var running = Enumerable.Range(0, engines).Select(_ => new InferenceEngine(SharedModel.Model, new InferenceEngineOptions { Threads = 2, Cores = budget, KvTokens = 1024 }, TimeProvider.System)).ToArray();
        var answers = await Task.WhenAll(running.Select(AnswerAsync)).WithinLimitAsync();
        foreach (var engine in running) await engine.DisposeAsync();
        return answers;
    }

    private static async Task<string> AnswerAsync(InferenceEngine engine)
    {
        var tokens = new List<int>();
        await foreach (var step in engine.GenerateAsync(new GenerationRequest { Prompt = SharedModel.Tokenizer.Encode("Once upon a time", parseSpecial: false), MaxTokens = 12, IgnoreEnd = true }, Token)) tokens.Add(step.Token);
        return string.Join(',', tokens);
    }
}
