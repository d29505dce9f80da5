using System.Collections.Frozen;
using System.Globalization;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>How many replicas each pool of a model should have. Pure: the same inputs give the same plan.</summary>
/// <remarks>
/// <code>
///  demand ──▶ (a) believe it? ──▶ (b) learn ──▶ (c) need of each pool ──▶ (d) spread ──▶ (e) window ──▶ (f) bounds ──▶ decisions
///                  │ stale             ▲ memory      arrivals, backlog,        order, price,   down only
///                  └─▶ hold            └────────     KV cache, slots           stock, budget   to its most
/// </code>
/// Work is counted in replica-seconds, w = Σ(p/μ_p + o/μ_d), because prefill and decode share a replica. <c>docs/scaling.md</c> derives each step.
/// (a) to (c) are <see cref="Weigh"/>; (d) to (f) are <see cref="Settle"/>, done again where a class's budget leaves a pool less (<see cref="FleetPlanner"/>).
/// </remarks>
public sealed class PoolPlanner(PlannerOptions options)
{
    /// <summary>Plans for <paramref name="model"/> alone: budgets are not looked at.</summary>
    /// <param name="model">The model, its pools and bounds.</param>
    /// <param name="demand">Its latest demand; null when its dispatcher has not spoken yet.</param>
    /// <param name="capacity">The state of its pools, in flavor order.</param>
    /// <param name="memory">The last plan's memory.</param>
    /// <param name="now">Now; a clock that jumps back is taken as no time passed.</param>
    public ModelPlan Plan(Model model, ModelDemand? demand, IReadOnlyList<PoolCapacity> capacity, PlannerMemory memory, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(capacity);
        ArgumentNullException.ThrowIfNull(memory);

        var weighed = Weigh(model, demand, capacity, memory, now);
        return Decide(weighed, Settle(weighed, FrozenDictionary<PoolName, int>.Empty));
    }

    /// <summary>Whether a pool that is to have <paramref name="replicas"/> must not be scaled to zero.</summary>
    internal static bool IsActive(bool hasWork, int replicas, PoolCapacity state, ScalingConfig bounds) => ((hasWork || bounds.MinReplicas > 0) && replicas > 0) || IsBusy(state);

    /// <summary>What the model needs, whatever others want: belief, learning, and the need of each pool.</summary>
    internal WeighedModel Weigh(Model model, ModelDemand? demand, IReadOnlyList<PoolCapacity> capacity, PlannerMemory memory, DateTimeOffset now)
    {
        var states = States(model, capacity);
        if (demand is null || now - demand.At > options.StaleAfter)
        {
            // Work that was told of before this planner could believe it waits all the same: a planner that takes over from one that could not plan must not begin with zero.
            var told = demand is { HasWork: true } && !memory.LastHadWork ? memory with { LastHadWork = true, LastWorkAt = demand.At } : memory;
            return new WeighedModel(model, demand, states, told, told, [], now);
        }

        var pools = memory.Pools;
        foreach (var (pool, state) in model.Pools.Zip(states))
        {
            var before = memory.Of(pool.Name);
            var old = before.Learned ?? LearnedRates.Nothing;
            if (!demand.HasWork && !memory.LastHadWork && IsGone(pool, state, demand)) before = before.AtRest();
            var (stock, learned) = (NodeStock.Update(before, state, options, now), Learning.Learn(old, pool, demand, state, options));
            if (!ReferenceEquals(memory.Of(pool.Name), stock) || !ReferenceEquals(learned, before.Learned)) pools = pools.SetItem(pool.Name.Value, stock with { Learned = learned });
        }

        var known = memory with { Pools = pools, LastHadWork = demand.HasWork, LastWorkAt = demand.HasWork ? now : memory.LastWorkAt };
        PoolNeed[][] roles = model.Pools.Count == 1
            ? [Needs([(model.Pools[0], states[0])], demand, known, now)]
            : [.. model.Pools.Zip(states).GroupBy(entry => entry.First.Flavor.Role).Select(role => Needs(role, demand, known, now))];
        return new WeighedModel(model, demand, states, known, Remember(model, demand, memory, known, now), roles, now);
    }

    /// <summary>Replicas of each pool within nodes, budgets, window and bounds; for each role its pools in their ranking.</summary>
    internal IReadOnlyList<List<PoolShare>> Settle(WeighedModel weighed, IReadOnlyDictionary<PoolName, int> grants)
    {
        var (bounds, now) = (weighed.Model.Scaling, weighed.Now);
        if (weighed.IsHeld)
        {
            var held = HeldPlan.Of(weighed.Model, weighed.States, weighed.Known, weighed.Demand is not null, now);
            ModelBounds.Fit(held, bounds);
            return held;
        }

        var roles = Array.ConvertAll(weighed.Roles, role => PoolSpread.Spread(role, weighed.Known, grants, now));
        PoolSpread.Balance(roles, options.PrefillPerDecode);
        foreach (var share in roles.SelectMany(role => role))
        {
            share.Recent = weighed.Known.Of(share.Pool.Name).RecentWith(Math.Min(share.Replicas, bounds.MaxReplicas), options.Window, now);

            // What the window holds must still have a node and a budget: a class that is out of stock keeps no claim on one.
            share.Replicas = share.Wanted = Math.Max(share.Replicas, Math.Min(share.Recent[0].Replicas, share.Limit));
        }

        ModelBounds.Fit(roles, bounds);
        return roles;
    }

    /// <summary>The plan that these shares are.</summary>
    internal ModelPlan Decide(WeighedModel weighed, IReadOnlyList<List<PoolShare>> roles)
    {
        var decisions = new ScaleDecision[weighed.States.Length];
        var memory = weighed.Next;
        var pools = memory.Pools;
        foreach (var share in roles.SelectMany(role => role))
        {
            var name = share.Pool.Name;
            if (!weighed.IsHeld) pools = pools.SetItem(name.Value, memory.Of(name) with { Recent = share.Recent, Replicas = share.Replicas });
            decisions[Array.IndexOf(weighed.States, share.Capacity)] = Decide(weighed, share);
        }

        return new ModelPlan(decisions, weighed.IsHeld ? memory : memory with { Pools = pools });
    }

    /// <summary>A pool already asked down to zero must not be activated again by the very replicas that leave.</summary>
    private static bool IsBusy(PoolCapacity state) => state.Desired > 0 && (state.LoadingSince.Count > 0 || state.Draining > 0);

    /// <summary>Whoever scales took it to zero: nothing of what was asked for is left to hold, and what comes next is planned for as it is.</summary>
    private static bool IsGone(Pool pool, PoolCapacity state, ModelDemand demand) =>
        state is { Desired: 0, Ready: 0, LoadingSince.Count: 0 } && demand.Replicas.All(replica => replica.Pool != pool.Name);

    /// <summary>What there is of each pool, in flavor order.</summary>
    private static PoolCapacity[] States(Model model, IReadOnlyList<PoolCapacity> capacity)
    {
        var states = new PoolCapacity[model.Pools.Count];
        for (var i = 0; i < states.Length; i++)
        {
            var name = model.Pools[i].Name;
            states[i] = i < capacity.Count && capacity[i].Pool == name ? capacity[i] : capacity.FirstOrDefault(state => state.Pool == name) ?? new PoolCapacity { Pool = name };
        }

        return states;
    }

    /// <summary>What each pool of a role would need for all of its load, in their ranking.</summary>
    private PoolNeed[] Needs(IEnumerable<(Pool Pool, PoolCapacity State)> role, ModelDemand demand, PlannerMemory known, DateTimeOffset now)
    {
        var pools = role.Select(entry => (entry.Pool, entry.State, Speed: SpeedOf(entry.Pool, known))).ToArray();
        List<PoolNeed> needs = [];
        var most = Math.Max(pools.Sum(entry => (long)known.Of(entry.Pool.Name).Replicas), PlannerWork.SharersOf(demand));
        foreach (var (pool, state, speed) in pools)
        {
            var present = PresentReplicas.Of(state, speed.ColdStartSeconds, now);
            foreach (var other in pools.Where(other => other.Pool != pool)) present = present.And(PresentReplicas.Of(other.State, other.Speed.ColdStartSeconds, now), Unit(speed) / Unit(other.Speed));
            needs.Add(PoolNeed.Of(pool, state, demand, speed, present, new WarmLoad(Warm(pool, known, now), most), options, now));
        }

        return needs.Count == 1 ? [needs[0]] : PoolRanking.Rank(needs, demand, options, now);

        double Unit(ClassSpeed speed) => PoolRanking.UnitSeconds(demand, speed.PrefillTokensPerSecond, speed.DecodeTokensPerSecond);
    }

    /// <summary>The load that replicas are kept for by the loads lately seen, while there is work and until the cooldown after it is over.</summary>
    private double Warm(Pool pool, PlannerMemory known, DateTimeOffset now)
    {
        if (known.LastWorkAt is not { } last || now - last >= (pool.Model.Scaling.Cooldown ?? options.Cooldown)) return 0;

        return known.Of(pool.Name).Loads.Quantile(options.WarmShare);
    }

    /// <summary>The memory with the loads of now. A load is remembered in replicas: only once it is known what one does.</summary>
    private PlannerMemory Remember(Model model, ModelDemand demand, PlannerMemory before, PlannerMemory known, DateTimeOffset now)
    {
        var pools = known.Pools;
        foreach (var pool in model.Pools)
        {
            var memory = known.Of(pool.Name);
            var work = new PlannerWork(demand, SpeedOf(pool, known), pool.Flavor.Role);
            if (memory.Learned?.IsMeasured(pool.Flavor.Role, work.Decodes) != true) continue;

            var loads = Rescaled(pool, work, memory).Add(work.Burst, work.Load, options.WarmMemory, now, work.Sharers);
            if (!ReferenceEquals(loads, memory.Loads)) pools = pools.SetItem(pool.Name.Value, memory with { Loads = loads });
        }

        return known with { Pools = pools };

        // What came while replicas were taken for slower than they are was no higher load: it counts as it would now.
        LoadHistory Rescaled(Pool pool, PlannerWork work, PoolMemory memory) =>
            ReferenceEquals(memory.Learned, before.Of(pool.Name).Learned) ? memory.Loads
            : memory.Loads.Rescaled(work.Load / new PlannerWork(demand, SpeedOf(pool, before), pool.Flavor.Role).Load);
    }

    private ClassSpeed SpeedOf(Pool pool, PlannerMemory known) =>
        ClassSpeed.Of(known.Of(pool.Name).Learned ?? LearnedRates.Nothing, pool.Flavor, options);

    private ScaleDecision Decide(WeighedModel weighed, PoolShare share)
    {
        var (bounds, now, replicas, wanted) = (weighed.Model.Scaling, weighed.Now, share.Replicas, share.Wanted);
        var active = IsActive(weighed.Next.LastHadWork, replicas, share.Capacity, bounds);
        if (share.Need is not { } need)
        {
            var age = now - weighed.Demand?.At;
            return new ScaleDecision(share.Pool.Name, now, replicas, active, new LazyReasons(() => HeldPlan.Words(age, bounds, wanted, replicas)));
        }

        return new ScaleDecision(share.Pool.Name, now, replicas, active, new LazyReasons(() => Words(bounds, share, need, wanted, replicas))) { Inputs = need.Inputs };
    }

    private List<string> Words(ScalingConfig bounds, PoolShare share, PoolNeed need, int wanted, int replicas)
    {
        List<string> reasons = [];
        if (replicas != wanted) reasons.Add(ModelBounds.Words(wanted, bounds, replicas));
        if (wanted > Math.Max(share.Started, share.Kept)) reasons.Add(string.Create(CultureInfo.InvariantCulture, $"{share.Recent[0].Replicas} were wanted within the last {options.Window.TotalSeconds:F0} s → stays {wanted}"));
        if (share.Note is { } note) reasons.Add(note);
        if (share.Started > 0 && share.Started < need.Down && share.Started > need.Up) reasons.Add(string.Create(CultureInfo.InvariantCulture, $"{need.Up} would do, but the load is within {options.DownMargin:P0} of needing more → stays {share.Started}"));
        if (share.Started >= need.Least && share.Started < need.Up && share.Note is null) reasons.Add(string.Create(CultureInfo.InvariantCulture, $"the load is within {options.UpMargin:P0} of what {share.Started} take → stays {share.Started}"));
        reasons.AddRange(need.Reasons);
        return reasons;
    }
}

/// <summary>A plan for all pools of a model, and what the next plan needs to remember.</summary>
/// <param name="Decisions">One for each pool, in flavor order.</param>
/// <param name="Memory">For the next plan.</param>
public sealed record ModelPlan(IReadOnlyList<ScaleDecision> Decisions, PlannerMemory Memory);

/// <summary>A model with the needs of its pools.</summary>
/// <param name="Model">Which.</param>
/// <param name="Demand">Its demand; null when nobody has spoken.</param>
/// <param name="States">What there is of each pool, in flavor order.</param>
/// <param name="Known">What is known of it now.</param>
/// <param name="Next">What the next plan is to know, but for this plan's answer.</param>
/// <param name="Roles">For each role what its pools would need, in their ranking; none where demand is not believed.</param>
/// <param name="Now">When.</param>
internal sealed record WeighedModel(Model Model, ModelDemand? Demand, PoolCapacity[] States, PlannerMemory Known, PlannerMemory Next, PoolNeed[][] Roles, DateTimeOffset Now)
{
    /// <summary>Whether demand is not believed: what was asked for stays.</summary>
    public bool IsHeld => Roles.Length == 0;
}
