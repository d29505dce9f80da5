using CsCheck;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>A measured load is never quite still; the answer to it is.</summary>
public sealed class HysteresisTests
{
    private static readonly PlannerOptions Banded = Options with { TargetUtilisation = 0.8, UpMargin = 0.03, DownMargin = 0.1, Window = TimeSpan.FromSeconds(5) };

    [Fact]
    public void A_load_on_a_mark_that_wavers_within_the_margin_gets_one_answer() =>
        Gen.Select(Gen.Int[1, 40], Gen.Double[-0.029, 0.029].Array[50, 200]).Sample((mark, noise) =>
            Answers([mark * 800, .. noise.Select(part => mark * 800 * (1 + part))]).Distinct().Count().ShouldBe(1));

    /// <summary>Up and down margin together are 13 %: once the least of the load has lasted for a window, no load within ± 6 % moves the answer again.</summary>
    [Fact]
    public void A_load_that_wavers_within_both_margins_gets_one_answer_once_its_least_has_lasted_for_a_window() =>
        Gen.Select(Gen.Double[0.1, 40], Gen.Double[-0.06, 0.06].Array[100, 300]).Sample((load, noise) =>
        {
            var answers = Answers([load * 1060, .. Enumerable.Repeat(load * 940, 9), .. noise.Select(part => load * 1000 * (1 + part))]).ToArray();

            answers[10..].Distinct().Count().ShouldBe(1, $"{load:F3}: {string.Join(' ', answers)}");
        });

    [Fact]
    public void A_replica_is_added_when_the_load_is_past_the_margin_and_given_up_when_one_fewer_would_have_room()
    {
        // 4,000 tokens/s are five replicas at 0.8.
        Answers([4000, 4100, 4130, 4000, 3700, 3700, 3700, 3700, 3700, 3700, 3700, 3600, 3600, 3600, 3600, 3600, 3600]).ShouldBe([5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5]);
    }

    [Fact]
    public void What_is_held_by_the_margin_says_so()
    {
        var decision = Plan(Idle() with { RunningRequests = 1, PromptTokensPerSecond = 4100 }, memory: Holding(5), options: Banded).Decisions[0];

        decision.Replicas.ShouldBe(5);
        decision.Reasons[0].ShouldBe("the load is within 3 % of what 5 take → stays 5");
    }

    private static IEnumerable<int> Answers(IEnumerable<double> rates)
    {
        var (memory, now) = (PlannerMemory.Empty, Start);
        foreach (var rate in rates)
        {
            now = now.AddSeconds(1);
            var plan = Plan(Idle(now) with { RunningRequests = 1, PromptTokensPerSecond = rate }, memory: memory, options: Banded);
            memory = plan.Memory;
            yield return plan.Decisions[0].Replicas;
        }
    }
}
