using CsCheck;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Shouldly;
using static Serverless.Tests.Scaling.PlannerScene;

namespace Serverless.Tests.Scaling;

/// <summary>
/// What holds for every input of the rules by themselves: round numbers, no margins, nothing kept warm, one pool. As it is shipped the planner is tried by <see cref="ShippedPlannerProperties"/>. The conditions under which some of it holds are those of docs/scaling.md: no cap binds, and replicas that are present do more work by a later horizon.
/// </summary>
public sealed class PoolPlannerProperties
{
    private static readonly Gen<ModelDemand> Demands =
        from counts in Gen.Select(Gen.Int[0, 200], Gen.Int[0, 200])
        from pending in Gen.Select(Gen.Long[0, 400_000], Gen.Long[0, 100_000])
        from running in Gen.Select(Gen.Long[0, 400_000], Gen.Long[0, 100_000])
        from rates in Gen.Select(Gen.Double[0, 20_000], Gen.Double[0, 2_000])
        select Idle() with
        {
            PendingRequests = counts.Item1,
            RunningRequests = counts.Item2,
            PendingPromptTokens = counts.Item1 > 0 ? pending.Item1 : 0,
            PendingOutputTokens = counts.Item1 > 0 ? pending.Item2 : 0,
            RunningTokens = counts.Item2 > 0 ? running.Item1 : 0,
            RunningOutputTokens = counts.Item2 > 0 ? running.Item2 : 0,
            PromptTokensPerSecond = rates.Item1,
            OutputTokensPerSecond = rates.Item2,
        };

    private static readonly Gen<PoolCapacity> Capacities =
        from ready in Gen.Int[0, 30]
        from ages in Gen.Double[0, 40].Array[0, 10]
        select Capacity(ready, [.. ages.Select(age => Start.AddSeconds(-age))]);

    private static readonly Gen<PlannerOptions> AnyOptions = Gen.OneOf(Options, Uncapped);

    private static readonly Gen<double> Wild = Gen.OneOf(Gen.Double, Gen.OneOf(double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.MaxValue, double.Epsilon, -1, 0));

    private static readonly Gen<long> WildLong = Gen.OneOf(Gen.Long, Gen.OneOf(long.MaxValue, long.MinValue, -1, 0, 1));

    private static readonly Gen<int> WildInt = Gen.OneOf(Gen.Int, Gen.OneOf(int.MaxValue, int.MinValue, -1, 0, 1));

    [Fact]
    public void More_pending_tokens_never_need_fewer_replicas() =>
        Gen.Select(Demands, Capacities, AnyOptions, Gen.Select(Gen.Long[0, 100_000], Gen.Long[0, 100_000])).Sample((demand, capacity, options, more) =>
        {
            var larger = demand with { PendingPromptTokens = demand.PendingPromptTokens + more.Item1, PendingOutputTokens = demand.PendingOutputTokens + more.Item2 };
            return Replicas(larger, capacity, options: options) >= Replicas(demand, capacity, options: options);
        });

    [Fact]
    public void More_running_output_memory_or_arrivals_never_need_fewer_replicas() =>
        Gen.Select(Demands, Capacities, AnyOptions, Gen.Select(Gen.Long[0, 100_000], Gen.Long[0, 100_000], Gen.Double[0, 5000])).Sample((demand, capacity, options, more) =>
        {
            var larger = demand with
            {
                RunningTokens = demand.RunningTokens + more.Item1,
                RunningOutputTokens = demand.RunningOutputTokens + more.Item2,
                PromptTokensPerSecond = demand.PromptTokensPerSecond + more.Item3,
                OutputTokensPerSecond = demand.OutputTokensPerSecond + more.Item3,
            };
            return Replicas(larger, capacity, options: options) >= Replicas(demand, capacity, options: options);
        });

    [Fact]
    public void More_running_requests_never_need_fewer_replicas() =>
        Gen.Select(Demands, Capacities, AnyOptions, Gen.Int[0, 200]).Sample((demand, capacity, options, more) =>
            Replicas(demand with { RunningRequests = demand.RunningRequests + more }, capacity, options: options) >= Replicas(demand, capacity, options: options));

    [Fact]
    public void Zero_is_the_answer_exactly_when_there_is_no_work() =>
        Gen.Select(Demands, Capacities, AnyOptions).Sample((demand, capacity, options) => Replicas(demand, capacity, options: options) == 0 == !demand.HasWork);

    [Fact]
    public void Running_work_keeps_the_slots_and_memory_it_is_in() =>
        Gen.Select(Demands, Capacities, AnyOptions).Sample((demand, capacity, options) =>
            Replicas(demand, capacity, options: options) >= Math.Max(Math.Ceiling(demand.RunningRequests / 16.0), Math.Min(demand.RunningRequests, Math.Ceiling(demand.RunningTokens / 32768.0))));

    [Fact]
    public void No_backlog_and_no_load_asks_for_more_replicas_than_there_are_requests() =>
        Gen.Select(Demands, Gen.Double[0, 200]).Sample((demand, recent) =>
            Replicas(demand with { RequestsPerSecond = recent / 30 }) <= Math.Max(demand.PendingRequests + demand.RunningRequests, Math.Ceiling(recent)));

    [Fact]
    public void More_requests_of_the_same_work_never_need_fewer_replicas() =>
        Gen.Select(Demands, Capacities, AnyOptions, Gen.Int[0, 100], Gen.Double[0, 10], Gen.Double[0, 10]).Sample((demand, capacity, options, more, rate, faster) =>
            Replicas(demand with { PendingRequests = demand.PendingRequests + more, RequestsPerSecond = rate + faster }, capacity, options: options) >= Replicas(demand with { RequestsPerSecond = rate }, capacity, options: options));

    [Fact]
    public void With_work_pending_no_answer_is_zero_whatever_is_stale_or_out_of_stock() =>
        Gen.Select(Demands, Capacities, Gen.Double[0, 1000], Gen.Bool).Sample((demand, capacity, age, stuck) =>
        {
            var seen = demand with { PendingRequests = demand.PendingRequests + 1 };
            var state = stuck ? capacity with { Available = 0, UnschedulableSince = capacity.LoadingSince } : capacity;
            var first = Plan(seen, state);
            var later = Plan(seen, state, first.Memory, now: seen.At.AddSeconds(age));

            foreach (var decision in new[] { first.Decisions[0], later.Decisions[0] })
            {
                decision.Replicas.ShouldBeGreaterThan(0);
                decision.Active.ShouldBeTrue();
            }
        });

    [Fact]
    public void Bounds_hold_whatever_was_wanted_before() =>
        Gen.Select(Demands, Capacities, Gen.Int[0, 10], Gen.Int[0, 10], Gen.Int[0, 2000]).Sample((demand, capacity, min, more, before) =>
        {
            var memory = Holding(before);
            var max = Math.Max(1, min + more);
            foreach (var seen in new[] { demand, null })
            {
                Plan(seen, capacity, memory, model: Model(min, max)).Decisions[0].Replicas.ShouldBeInRange(min, max);
            }
        });

    [Fact]
    public void Nonsense_is_survived_within_the_bounds()
    {
        var demands = from counts in Gen.Select(WildInt, WildInt)
                      from tokens in Gen.Select(WildLong, WildLong, WildLong, WildLong)
                      from rates in Gen.Select(Wild, Wild)
                      from replica in Gen.Select(WildInt, WildLong, Wild, Wild)
                      select Idle() with
                      {
                          PendingRequests = counts.Item1,
                          RunningRequests = counts.Item2,
                          PendingPromptTokens = tokens.Item1,
                          PendingOutputTokens = tokens.Item2,
                          RunningTokens = tokens.Item3,
                          RunningOutputTokens = tokens.Item4,
                          PromptTokensPerSecond = rates.Item1,
                          OutputTokensPerSecond = rates.Item2,
                          Replicas = [new ReplicaDemand("r", PoolOfModel, false, counts.Item2, replica.Item1, replica.Item2, replica.Item2, replica.Item3, replica.Item4)],
                      };
        var capacities = from counts in Gen.Select(WildInt, WildInt, WildInt)
                         from coldStart in Wild
                         from since in Gen.OneOf(DateTimeOffset.MinValue, DateTimeOffset.MaxValue, Start).Array[0, 3]
                         select new PoolCapacity { Pool = PoolOfModel, Desired = counts.Item1, Ready = counts.Item2, Draining = counts.Item3, LoadingSince = since, LastColdStartSeconds = coldStart };

        Gen.Select(demands, capacities, Gen.Bool).Sample((demand, capacity, known) =>
        {
            var decision = Plan(known ? demand : null, capacity).Decisions[0];
            decision.Replicas.ShouldBeInRange(known && demand.HasWork ? 1 : 0, 1000);
        });
    }

    [Fact]
    public void A_replica_more_on_its_way_never_raises_the_answer_while_no_cap_binds() =>
        Gen.Select(Demands, Capacities, Gen.Double[0, 40]).Sample((demand, capacity, age) =>
        {
            var more = capacity with { LoadingSince = [.. capacity.LoadingSince, Start.AddSeconds(-age)] };
            return Replicas(demand, more, options: Uncapped) <= Replicas(demand, capacity, options: Uncapped);
        });

    [Fact]
    public void A_ready_replica_more_never_raises_the_answer_while_no_cap_binds() =>
        Gen.Select(Demands, Capacities).Sample((demand, capacity) =>
            Replicas(demand, capacity with { Ready = capacity.Ready + 1 }, options: Uncapped) <= Replicas(demand, capacity, options: Uncapped));

    [Fact]
    public void A_longer_cold_start_never_gives_fewer_replicas_while_no_cap_binds_and_none_is_due() =>
        Gen.Select(Demands, Gen.Double[0, 10].Array[0, 10], Gen.Double[10, 60], Gen.Double[0, 60]).Sample((demand, ages, coldStart, more) =>
        {
            var capacity = Capacity(0, [.. ages.Select(age => Start.AddSeconds(-age))]);
            return Replicas(demand, capacity, Knowing(coldStart + more), Uncapped) >= Replicas(demand, capacity, Knowing(coldStart), Uncapped);
        });

    [Fact]
    public void Work_and_speed_scaled_alike_give_the_same_answer() =>
        Gen.Select(Demands, Capacities, Gen.Int[0, 8]).Sample((demand, capacity, power) =>
        {
            var factor = 1 << power;
            var faster = demand with
            {
                PendingPromptTokens = demand.PendingPromptTokens * factor,
                PendingOutputTokens = demand.PendingOutputTokens * factor,
                RunningTokens = demand.RunningTokens * factor,
                RunningOutputTokens = demand.RunningOutputTokens * factor,
                PromptTokensPerSecond = demand.PromptTokensPerSecond * factor,
                OutputTokensPerSecond = demand.OutputTokensPerSecond * factor,
            };
            var options = Options with { Prior = Options.Prior with { PrefillTokensPerSecond = 1000 * factor, DecodeTokensPerSecond = 100 * factor, KvTokens = 32768L * factor } };
            return Replicas(faster, capacity, options: options) == Replicas(demand, capacity);
        });

    /// <summary>Against the plain definition: the largest answer of the last window, whatever the rate of plans. One slot a replica makes each running request a replica.</summary>
    [Fact]
    public void The_answer_is_the_most_that_was_wanted_within_the_window()
    {
        var options = Options with { Prior = Options.Prior with { Slots = 1 } };
        Gen.Select(Gen.OneOf(Gen.Double[0, 0.9], Gen.Double[0, 40]), Gen.Int[0, 12]).Array[1, 60].Sample(steps =>
        {
            var memory = PlannerMemory.Empty;
            var now = Start;
            List<(DateTimeOffset At, int Replicas)> all = [];
            foreach (var (wait, running) in steps)
            {
                now = now.AddSeconds(wait);
                all.Add((now, running));
                var plan = Plan(Idle(now) with { RunningRequests = running }, Capacity(ready: memory.Of(PoolOfModel).Replicas), memory, options); // nobody took it to zero meanwhile
                memory = plan.Memory;

                plan.Decisions[0].Replicas.ShouldBe(all.Where(entry => now - entry.At < options.Window).Max(entry => entry.Replicas));
                memory.Of(PoolOfModel).Recent.Length.ShouldBeLessThanOrEqualTo(13, "the list is bounded by the replicas, not by the plans");
            }
        });
    }
}
