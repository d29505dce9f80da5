using System.Collections.Immutable;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>How many replicas each pool of a model should have. Pure: the same inputs give the same plan.</summary>
/// <remarks>
/// <code>
///  demand ──▶ (a) believe it? ──▶ (b) learn ──▶ (c) need of each pool ──▶ (d) spread ──▶ (e) window ──▶ (f) bounds ──▶ decisions
///                  │ stale             ▲ memory      arrivals, backlog,        order, price,   down only
///                  └─▶ hold            └────────     KV cache, slots           stock           to its most
/// </code>
/// Work is counted in replica-seconds, w = Σ(p/μ_p + o/μ_d), because prefill and decode share a replica. <c>docs/scaling.md</c> derives each step.
/// </remarks>
public sealed class PoolPlanner(PlannerOptions options)
{
    /// <summary>Plans for <paramref name="model"/>.</summary>
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

        var states = States(model, capacity);
        if (demand is null || now - demand.At > options.StaleAfter) return HeldPlan.Of(model, demand, states, memory, now);

        var pools = memory.Pools;
        foreach (var state in states)
        {
            var (before, after) = (memory.Of(state.Pool), Stock.Update(memory.Of(state.Pool), state, options, now));
            if (!ReferenceEquals(before, after) || !pools.ContainsKey(state.Pool.Value)) pools = pools.SetItem(state.Pool.Value, after);
        }

        var known = memory with { Classes = Learning.Learn(model, demand, states, memory.Classes, options), Pools = pools, LastHadWork = demand.HasWork, LastWorkAt = demand.HasWork ? now : memory.LastWorkAt };

        var plan = Balance(Shares(model, demand, states, known, now)).SelectMany(role => role.Select(share => Steady(share, known, model.Scaling.MaxReplicas, now))).ToArray();
        var fitted = PoolBounds.Fit(model.Scaling, Array.ConvertAll(plan, pool => (pool.Replicas, pool.Share.Started >= pool.Share.Kept ? 0 : pool.Share.Kept)));

        var decisions = new ScaleDecision[states.Length];
        for (var i = 0; i < plan.Length; i++)
        {
            var (share, recent, wanted) = plan[i];
            var name = share.Need.Pool.Name;
            var replicas = Math.Min(fitted[i], share.Need.Capacity.Budget ?? fitted[i]);
            var loads = pools[name.Value].Loads;

            // A load is remembered in replicas: only once it is known what one does.
            if (known.Classes.TryGetValue(share.Need.Pool.Flavor.AcceleratorClass, out var learned) && learned.IsMeasured)
            {
                var work = new PlannerWork(demand, SpeedOf(share.Need.Pool, known), share.Need.Pool.Flavor.Role);
                loads = loads.Add(work.Shared(work.Burst, 1), work.Load, options.WarmMemory, now);
            }

            pools = pools.SetItem(name.Value, pools[name.Value] with { Recent = recent, Replicas = replicas, Loads = loads });
            decisions[Array.IndexOf(states, share.Need.Capacity)] = Decide(model, demand, share, recent, wanted, replicas, now);
        }

        return new ModelPlan(decisions, known with { Pools = pools });
    }

    /// <summary>Whether a pool that is to have <paramref name="replicas"/> must not be scaled to zero.</summary>
    internal static bool IsActive(bool hasWork, int replicas, PoolCapacity state, ScalingConfig bounds) => ((hasWork || bounds.MinReplicas > 0) && replicas > 0) || IsBusy(state);

    /// <summary>That bounds changed what was wanted.</summary>
    internal static string Bounded(int wanted, ScalingConfig bounds, int replicas) => PlannerText.Of($"{wanted} wanted, {bounds.MinReplicas} to {bounds.MaxReplicas} allowed → {replicas}");

    /// <summary>A pool already asked down to zero must not be activated again by the very replicas that leave.</summary>
    private static bool IsBusy(PoolCapacity state) => state.Desired > 0 && (state.LoadingSince.Count > 0 || state.Draining > 0);

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

    /// <summary>For each role how its load is spread over its pools.</summary>
    private List<PoolShare>[] Shares(Model model, ModelDemand demand, PoolCapacity[] states, PlannerMemory known, DateTimeOffset now) => model.Pools.Count == 1
        ? [Share([(model.Pools[0], 0)], demand, states, known, now)]
        : [.. model.Pools.Select((pool, index) => (pool, index)).GroupBy(entry => entry.pool.Flavor.Role).Select(role => Share(role, demand, states, known, now))];

    private List<PoolShare> Share(IEnumerable<(Pool Pool, int Index)> role, ModelDemand demand, PoolCapacity[] states, PlannerMemory known, DateTimeOffset now)
    {
        var pools = role.Select(entry => (entry.Pool, State: states[entry.Index], Speed: SpeedOf(entry.Pool, known))).ToArray();
        List<PoolNeed> needs = [];
        foreach (var (pool, state, speed) in pools)
        {
            var present = Presence.Of(state, speed.ColdStartSeconds, now);
            foreach (var other in pools.Where(other => other.Pool != pool)) present = present.And(Presence.Of(other.State, other.Speed.ColdStartSeconds, now), Unit(speed) / Unit(other.Speed));
            needs.Add(PoolNeed.Of(pool, state, demand, speed, present, Warm(pool, known, now), options, now));
        }

        return PoolSpread.Spread(needs.Count == 1 ? needs : PoolRanking.Rank(needs, demand, options, now), known, now);

        double Unit(ClassSpeed speed) => PoolRanking.UnitSeconds(demand, speed.PrefillTokensPerSecond, speed.DecodeTokensPerSecond);
    }

    /// <summary>The load that replicas are kept for by the loads lately seen, while there is work and until the cooldown after it is over.</summary>
    private double Warm(Pool pool, PlannerMemory known, DateTimeOffset now)
    {
        if (known.LastWorkAt is not { } last || now - last >= (pool.Model.Scaling.Cooldown ?? options.Cooldown)) return 0;

        return known.Of(pool.Name).Loads.Quantile(options.WarmShare);
    }

    private ClassSpeed SpeedOf(Pool pool, PlannerMemory known) => ClassSpeed.Of(
        known.Classes.GetValueOrDefault(pool.Flavor.AcceleratorClass, LearnedClass.Nothing), ClassSpeed.PriorOf(options, pool.Flavor.AcceleratorClass), options);

    /// <summary>Where prefill and decode are split, their totals are held to the ratio; the first pool of a role takes what is added.</summary>
    private List<PoolShare>[] Balance(List<PoolShare>[] roles)
    {
        var prefill = Array.FindIndex(roles, role => role[0].Need.Pool.Flavor.Role == PoolRole.Prefill);
        var decode = Array.FindIndex(roles, role => role[0].Need.Pool.Flavor.Role == PoolRole.Decode);
        if (prefill < 0 || decode < 0) return roles;

        var had = (Prefill: roles[prefill].Sum(share => share.Started), Decode: roles[decode].Sum(share => share.Started));
        var balanced = RoleRatio.Clamp(had.Prefill, had.Decode, options.PrefillPerDecode);
        Raise(prefill, balanced.Prefill - had.Prefill);
        Raise(decode, balanced.Decode - had.Decode);
        return roles;

        void Raise(int role, int by)
        {
            if (by > 0) roles[role][0] = roles[role][0] with { Started = roles[role][0].Started + by, Note = PlannerText.Of($"{by} more for the ratio of prefill to decode") };
        }
    }

    private (PoolShare Share, ImmutableArray<WantedReplicas> Recent, int Replicas) Steady(PoolShare share, PlannerMemory known, int most, DateTimeOffset now)
    {
        var memory = known.Of(share.Need.Pool.Name);
        var recent = Window.Add(memory.Recent, Math.Min(share.Replicas, most), options.Window, now);

        // What the window holds must still have a node: a class that is out of stock keeps no claim on one.
        return (share, recent, Math.Max(share.Replicas, Math.Min(recent[0].Replicas, Stock.Limit(memory, share.Need.Capacity, now))));
    }

    private ScaleDecision Decide(Model model, ModelDemand demand, PoolShare share, ImmutableArray<WantedReplicas> recent, int wanted, int replicas, DateTimeOffset now)
    {
        var active = IsActive(demand.HasWork, replicas, share.Need.Capacity, model.Scaling);
        var most = recent[0].Replicas;
        return new ScaleDecision(share.Need.Pool.Name, now, replicas, active, new LazyReasons(() => Words(model.Scaling, share, most, wanted, replicas))) { Inputs = share.Need.Inputs };
    }

    private List<string> Words(ScalingConfig bounds, PoolShare share, int most, int wanted, int replicas)
    {
        List<string> reasons = [];
        if (replicas != wanted) reasons.Add(Bounded(wanted, bounds, replicas));
        if (wanted > share.Replicas) reasons.Add(PlannerText.Of($"{most} were wanted within the last {options.Window.TotalSeconds:F0} s → stays {wanted}"));
        if (share.Note is { } note) reasons.Add(note);
        if (share.Started > 0 && share.Started < share.Need.Down && share.Started > share.Need.Up) reasons.Add(PlannerText.Of($"{share.Need.Up} would do, but the load is within {options.DownMargin:P0} of needing more → stays {share.Started}"));
        if (share.Started >= share.Need.Least && share.Started < share.Need.Up && share.Note is null) reasons.Add(PlannerText.Of($"the load is within {options.UpMargin:P0} of what {share.Started} take → stays {share.Started}"));
        reasons.AddRange(share.Need.Reasons);
        return reasons;
    }
}
