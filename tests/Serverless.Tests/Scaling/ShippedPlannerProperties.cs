using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>What holds for the planner as it is shipped: with its margins, warm replicas and memory, on several pools with roles, prices, stock and budgets.</summary>
public sealed class ShippedPlannerProperties
{
    [Fact]
    public void Bounds_hold_over_all_pools_and_no_role_with_work_is_left_without_a_replica() =>
        Each((model, demand, plan) =>
        {
            var (total, bounds) = (plan.Decisions.Sum(decision => decision.Replicas), model.Scaling);

            total.ShouldBeInRange(bounds.MinReplicas, bounds.MaxReplicas);
            plan.Decisions.ShouldAllBe(decision => decision.Replicas >= 0);
            foreach (var role in Roles(model, plan))
            {
                if (demand.HasWork) role.Sum(decision => decision.Replicas).ShouldBeGreaterThan(0, "work waits");
                if (bounds.MinReplicas > 1) role.Sum(decision => decision.Replicas).ShouldBeGreaterThan(0, "each role has its part of the least");
            }

            if (demand.HasWork) plan.Decisions.ShouldContain(decision => decision.Active);
        });

    [Fact]
    public void Without_work_nothing_but_the_least_the_window_and_what_is_warm_is_asked_for() =>
        Each((model, demand, plan) =>
        {
            if (demand.HasWork || model.Scaling.MinReplicas > 0) return;
            if (plan.Decisions.All(decision => decision.Inputs!.Warm == 0 && plan.Memory.Of(decision.Pool).Recent[0].Replicas == 0)) plan.Decisions.ShouldAllBe(decision => decision.Replicas == 0);
        });

    [Fact]
    public void A_class_is_asked_for_no_more_than_its_budget_but_for_what_is_held() =>
        Gen.Select(PlannerFleet.Members.Array[1, 6], PlannerFleet.Shipped).Sample((members, options) =>
        {
            members = [.. members.Select((member, index) => member.Named($"m{index}"))];
            foreach (var (inputs, plans) in Rounds(members, options))
            {
                var pools = inputs.Zip(plans).SelectMany(entry => entry.First.Model.Pools.Zip(entry.Second.Decisions, (pool, decision) => (pool, decision))).ToArray();
                foreach (var (name, budget) in options.Budgets)
                {
                    var of = pools.Where(entry => entry.pool.Flavor.AcceleratorClass == name).ToArray();
                    if (of.Sum(entry => entry.decision.Replicas) <= budget) continue;

                    foreach (var (pool, decision) in of)
                        decision.Replicas.ShouldBeLessThanOrEqualTo(Held(pool, decision), $"{name} has a budget of {budget}: {string.Join(", ", of.Select(entry => $"{entry.decision.Pool} {entry.decision.Replicas}: {string.Join("; ", entry.decision.Reasons)}"))}");
                }
            }

            static int Held(Pool pool, ScaleDecision decision) => Math.Max(Math.Max(1, pool.Model.Scaling.MinReplicas), Math.Max(decision.Inputs!.ForKvCache, decision.Inputs.ForSlots));
        });

    [Fact]
    public void The_same_inputs_give_the_same_plan_in_whatever_order_models_are_planned() =>
        Gen.Select(PlannerFleet.Members.Array[2, 6], PlannerFleet.Shipped).Sample((members, options) =>
        {
            members = [.. members.Select((member, index) => member.Named($"m{index}"))];
            var inputs = members.Select(member => member.Input(0, Start, PlannerMemory.Empty)).ToArray();

            var plans = Fleet(options).Plan(inputs, Start).Select(Answers).ToArray();
            var reversed = Fleet(options).Plan([.. inputs.Reverse()], Start).Select(Answers).Reverse().ToArray();

            reversed.ShouldBe(plans);
        });

    [Fact]
    public void More_pending_running_or_arriving_work_never_needs_fewer_replicas() =>
        Gen.Select(PlannerFleet.Members, Gen.Int[0, 4], Gen.Select(Gen.Long[0, 100_000], Gen.Long[0, 100_000]), Gen.Select(Gen.Double[0, 5000], Gen.Int[0, 50])).Sample((member, which, tokens, more) =>
        {
            var one = member with { Model = member.Model with { Flavors = [member.Model.Flavors[0] with { Role = PoolRole.Both }] } };
            var (memory, now) = After(one);
            var input = one.Input(which, now, memory);
            if (!input.Demand!.HasWork) return;

            var larger = input.Demand with
            {
                PendingRequests = input.Demand.PendingRequests + more.Item2,
                PendingPromptTokens = input.Demand.PendingPromptTokens + tokens.Item1,
                PendingOutputTokens = input.Demand.PendingOutputTokens + tokens.Item2,
                RunningOutputTokens = input.Demand.RunningOutputTokens + tokens.Item2,
                PromptTokensPerSecond = input.Demand.PromptTokensPerSecond + more.Item1,
                OutputTokensPerSecond = input.Demand.OutputTokensPerSecond + more.Item1,
            };
            Of(larger).ShouldBeGreaterThanOrEqualTo(Of(input.Demand));

            int Of(ModelDemand demand) => new PoolPlanner(new PlannerOptions()).Plan(input.Model, demand, input.Capacity, memory, now).Decisions[0].Replicas;
        });

    [Fact]
    public void Constant_load_settles_on_what_it_needs_whatever_the_replicas_are_like() =>
        Gen.Select(Gen.Double[0.3, 12], Gen.Int[50, 400], Gen.Int[1, 200], Gen.Int[2, 30], Gen.Double[0.4, 2.5]).Sample(
            (load, prompt, output, coldStart, speed) =>
            {
                var pool = new PoolSimulation(new PlannerOptions { Prior = Options.Prior }, coldStart, speed);
                var answers = Enumerable.Range(0, 1800).Select(_ => pool.Second(load, prompt, output)).ToArray();

                answers[600..].Distinct().Count().ShouldBe(1, $"at {load:F2} replicas of load the answers were {string.Join(' ', answers)}");
                var known = pool.Decision!.Inputs!;
                if (known.DecodeRate != Options.Prior.DecodeTokensPerSecond) known.DecodeRate.ShouldBeInRange(100 * speed / 2, 100 * speed * 2, "known to a factor of two, or else the prior's word");
                known.PrefillRate.ShouldBe(1000 * speed, 1000 * speed * 0.05);
                ((double)answers[^1]).ShouldBeInRange(Math.Ceiling(load - 0.05), Math.Max(known.ForSlots, Math.Ceiling(Math.Max(load, known.Load) * 1.1 / 0.8) + 1), string.Join("; ", pool.Decision.Reasons));
                pool.Pending.ShouldBeLessThan(50, "the queue does not grow");
            },
            iter: PropertyRuns.Slow);

    /// <summary>Up and down are counted once each: a load that rises and falls for an hour is followed, not chased.</summary>
    [Fact]
    public void A_load_that_rises_and_falls_is_followed_without_thrash() =>
        Gen.Select(Gen.Double[1, 8], Gen.Int[50, 400], Gen.Int[10, 200], Gen.Double[0.5, 2]).Sample(
            (load, prompt, output, speed) =>
            {
                var pool = new PoolSimulation(new PlannerOptions { Prior = Options.Prior }, 10, speed);
                for (var second = 0; second < 900; second++) pool.Second(load, prompt, output);
                var answers = Enumerable.Range(0, 3600).Select(second => pool.Second(load * (1 + (0.5 * Math.Sin(second * Math.PI / 900))), prompt, output)).ToArray();

                var turns = answers.Zip(answers.Skip(1), (one, two) => Math.Sign(two - one)).Where(turn => turn != 0).ToArray();
                turns.Zip(turns.Skip(1)).Count(pair => pair.First != pair.Second).ShouldBeLessThanOrEqualTo(8, $"two waves turn four times: {string.Join(' ', answers.Where((_, second) => second % 30 == 0))}");
            },
            iter: PropertyRuns.Slow);

    [Fact]
    public void Load_that_ends_takes_the_pool_to_zero_after_the_cooldown_and_only_down() =>
        Gen.Select(Gen.Double[0.05, 12], Gen.Int[50, 400], Gen.Int[1, 200], Gen.Double[0.4, 2.5]).Sample(
            (load, prompt, output, speed) =>
            {
                var pool = new PoolSimulation(new PlannerOptions { Prior = Options.Prior }, 10, speed);
                for (var second = 0; second < 300; second++) pool.Second(load, prompt, output);
                while (pool.HasWork) pool.Second(0, prompt, output);
                var answers = Enumerable.Range(0, 400).Select(_ => pool.Second(0, prompt, output)).ToArray();

                answers[^1].ShouldBe(0);
                answers.Zip(answers.Skip(1)).ShouldAllBe(pair => pair.Second <= pair.First);
            },
            iter: PropertyRuns.Slow);

    private static FleetPlanner Fleet(PlannerOptions options) => new(new PoolPlanner(options), options);

    private static string Answers(ModelPlan plan) => string.Join(' ', plan.Decisions.Select(decision => decision.Replicas));

    private static IEnumerable<IEnumerable<ScaleDecision>> Roles(Model model, ModelPlan plan) =>
        model.Pools.Zip(plan.Decisions).GroupBy(entry => entry.First.Flavor.Role, entry => entry.Second);

    /// <summary>A model alone, through all of its moments, as shipped and under any budgets.</summary>
    private static void Each(Action<Model, ModelDemand, ModelPlan> holds) =>
        Gen.Select(PlannerFleet.Members, PlannerFleet.Shipped).Sample((member, options) =>
        {
            foreach (var (inputs, plans) in Rounds([member], options)) holds(member.Model, inputs[0].Demand!, plans[0]);
        });

    private static IEnumerable<(PlanInput[] Inputs, ModelPlan[] Plans)> Rounds(PlannerFleet.Member[] members, PlannerOptions options)
    {
        var fleet = Fleet(options);
        var memories = members.Select(_ => PlannerMemory.Empty).ToArray();
        var now = Start;
        for (var moment = 0; moment < 8; moment++)
        {
            now = now.AddSeconds(members[0].Moments[moment % members[0].Moments.Length].Seconds);
            var inputs = members.Zip(memories, (member, memory) => member.Input(moment, now, memory)).ToArray();
            var plans = fleet.Plan(inputs, now);
            memories = [.. plans.Select(plan => plan.Memory)];
            yield return (inputs, plans);
        }
    }

    private static (PlannerMemory Memory, DateTimeOffset Now) After(PlannerFleet.Member member)
    {
        var (memory, now) = (PlannerMemory.Empty, Start);
        foreach (var (inputs, plans) in Rounds([member], new PlannerOptions())) (memory, now) = (plans[0].Memory, inputs[0].Demand!.At);
        return (memory, now.AddSeconds(1));
    }
}
