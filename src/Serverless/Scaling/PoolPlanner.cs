using System.Collections.Immutable;
using System.Globalization;
using Serverless.Catalog;
using Serverless.Dispatching;

namespace Serverless.Scaling;

/// <summary>
/// How many replicas each pool of a model should have. Pure: the same inputs give the same plan.
/// </summary>
/// <remarks>
/// Work is counted in replica-seconds, w = Σ(p/μ_p + o/μ_d), because prefill and decode share a replica. The answer is the largest of what the arrival rate needs (Little's law),
/// what drains the backlog in time with the cold start counted in, and what the KV cache and slots of running work need; clamped to the model's bounds, and lowered only to the most
/// that was wanted within a window. <c>docs/scaling.md</c> derives it.
/// </remarks>
public sealed class PoolPlanner(PlannerOptions options)
{
    private const double Smoothing = 0.3;
    private const double LoadingExpiry = 3;

    /// <summary>Plans for <paramref name="model"/>.</summary>
    /// <param name="model">The model, its pools and bounds.</param>
    /// <param name="demand">Its latest demand; null when its dispatcher has not spoken yet.</param>
    /// <param name="capacity">The state of its pools, in flavor order.</param>
    /// <param name="memory">The last plan's memory.</param>
    /// <param name="now">Now; a clock that jumps back is taken as no time passed.</param>
    public ModelPlan Plan(Model model, Demand? demand, IReadOnlyList<PoolCapacity> capacity, PlannerMemory memory, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(capacity);
        ArgumentNullException.ThrowIfNull(memory);

        // A pool already asked down to zero must not be activated again by the very replicas that leave.
        var busy = capacity.Any(pool => pool.Desired > 0 && (pool.LoadingSince.Count > 0 || pool.Draining > 0));
        if (demand is null || now - demand.At > options.StaleAfter) return Hold(model, demand, capacity, busy, memory, now);

        var known = Learn(demand, capacity, memory);
        var work = new PlannerWork(demand, known, options);
        List<string> reasons = [];
        var wanted = demand.HasWork ? Wanted(work, capacity, known, now, reasons) : 0;
        if (!demand.HasWork) reasons.Add("no work pending or running → 0");

        var allowed = Clamp(model.Scaling, wanted, reasons);
        var recent = Remember(known.Recent, allowed, now);
        var steady = Math.Min(recent[0].Replicas, model.Scaling.MaxReplicas);
        if (steady > allowed) reasons.Insert(0, Text($"{steady} were wanted within the last {options.Window.TotalSeconds:F0} s → stays {steady}"));

        var plan = known with { Recent = recent, LastReplicas = steady, LastHadWork = demand.HasWork };
        return new ModelPlan(Spread(model, steady, demand.HasWork || busy, reasons, now), plan);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static int Clamp(ScalingConfig bounds, int replicas, List<string> reasons)
    {
        var clamped = Math.Clamp(replicas, bounds.MinReplicas, bounds.MaxReplicas);
        if (clamped != replicas) reasons.Insert(0, Text($"{replicas} wanted, {bounds.MinReplicas} to {bounds.MaxReplicas} allowed → {clamped}"));
        return clamped;
    }

    /// <summary>The preferred pool takes all of it; a pool that is not needed goes to zero once it has no work.</summary>
    private static List<ScaleDecision> Spread(Model model, int replicas, bool active, List<string> reasons, DateTimeOffset now) =>
        [.. model.Pools.Select((pool, index) => index == 0
            ? new ScaleDecision(pool.Name, now, replicas, active || model.Scaling.MinReplicas > 0, [.. reasons])
            : new ScaleDecision(pool.Name, now, 0, false, [Text($"{model.Pools[0].Name} is preferred and takes the load → 0")]))];

    private static double Smooth(double old, double measured) => measured <= 0 || !double.IsFinite(measured) ? old : old <= 0 ? measured : old + (Smoothing * (measured - old));

    private static PlannerMemory Learn(Demand demand, IReadOnlyList<PoolCapacity> capacity, PlannerMemory memory)
    {
        var learned = memory;
        foreach (var replica in demand.Replicas)
        {
            learned = learned with
            {
                PrefillTokensPerSecond = Smooth(learned.PrefillTokensPerSecond, replica.PrefillTokensPerSecond),
                DecodeTokensPerSecond = Smooth(learned.DecodeTokensPerSecond, replica.DecodeTokensPerSecond),
                Slots = Math.Max(1, replica.Slots),
                KvTokens = Math.Max(1, replica.KvCapacityTokens),
            };
        }

        foreach (var pool in capacity) learned = learned with { ColdStartSeconds = Smooth(learned.ColdStartSeconds, pool.LastColdStartSeconds ?? 0) };
        return learned;
    }

    private int Wanted(PlannerWork work, IReadOnlyList<PoolCapacity> capacity, PlannerMemory known, DateTimeOffset now, List<string> reasons)
    {
        var drain = Drain(work, capacity, known, now, reasons);
        var rate = work.RateReplicas;
        var kv = work.KvReplicas(drain);
        var slots = work.SlotReplicas;
        if (rate > 0) reasons.Add(Text($"{work.PromptRate:F0} prompt and {work.OutputRate:F0} output tokens/s arrive, {options.TargetUtilisation:P0} of a replica is planned for → {rate}"));
        if (kv > 1) reasons.Add(Text($"{work.KvTokensNeeded(drain):N0} tokens of KV cache, {work.KvPerReplica:N0} a replica → {kv}"));
        if (slots > 1) reasons.Add(Text($"{work.Running} requests run, {work.Slots} a replica → {slots}"));

        var wanted = Math.Max(Math.Max(drain, rate), Math.Max(Math.Max(kv, slots), 1));
        if (wanted > drain) reasons.Add(Text($"the largest counts → {wanted}"));
        return wanted;
    }

    /// <summary>
    /// The largest of the window comes first and each later entry is smaller: an entry no larger than a newer one can never count again, so the bounds of the model bound the list
    /// whatever the rate of plans. Entries from after <paramref name="now"/> are from before the clock jumped back; they age from now.
    /// </summary>
    private ImmutableArray<(DateTimeOffset At, int Replicas)> Remember(ImmutableArray<(DateTimeOffset At, int Replicas)> recent, int replicas, DateTimeOffset now) =>
    [
        .. recent.Where(entry => entry.Replicas > replicas && now - entry.At < options.Window).Select(entry => entry.At > now ? (now, entry.Replicas) : entry),
        (now, replicas),
    ];

    /// <summary>Step 4 with its reading notes: present replicas work from now, loading ones from when they are up, new ones after a cold start.</summary>
    private int Drain(PlannerWork work, IReadOnlyList<PoolCapacity> capacity, PlannerMemory known, DateTimeOffset now, List<string> reasons)
    {
        var coldStart = known.ColdStartSeconds > 0 ? known.ColdStartSeconds : options.ColdStartPrior.TotalSeconds;
        var drainTime = options.DrainTime.TotalSeconds;
        var horizon = coldStart + drainTime;
        var ready = (int)Math.Min(capacity.Sum(pool => (long)Math.Max(0, pool.Ready)), PlannerWork.MostReplicas);
        var ages = capacity.SelectMany(pool => pool.LoadingSince).Select(since => Math.Max(0, (now - since).TotalSeconds)).ToArray();
        var loading = ages.Where(age => age <= LoadingExpiry * coldStart).OrderDescending().Select(age => drainTime + Math.Min(age, coldStart)).ToArray();
        if (loading.Length < ages.Length) reasons.Add(Text($"{ages.Length - loading.Length} replicas load for more than {LoadingExpiry} cold starts of {coldStart:F1} s and are not counted on"));

        var needed = work.ReplicaSeconds;
        var replicas = Cover();
        reasons.Add(Text($"{work.PendingPrompt:N0} prompt and {work.PendingOutput:N0} output tokens pending, {work.Running} requests running = {needed:F1} replica-seconds; {ready + loading.Length} up or loading, cold start {coldStart:F1} s, drain in {drainTime:F0} s → {replicas}"));
        return replicas;

        int Cover()
        {
            var usable = ready * horizon;
            if (usable >= needed) return Math.Min(ready, (int)Math.Ceiling(needed / horizon));

            for (var i = 0; i < loading.Length; i++)
            {
                usable += loading[i];
                if (usable >= needed) return ready + i + 1;
            }

            var fresh = Math.Ceiling((needed - usable) / drainTime);
            var economic = Math.Max(0, Math.Ceiling(needed / (options.EconomicFactor * coldStart)) - loading.Length);
            return (int)Math.Min(ready + loading.Length + Math.Min(fresh, economic), PlannerWork.MostReplicas);
        }
    }

    private static ModelPlan Hold(Model model, Demand? demand, IReadOnlyList<PoolCapacity> capacity, bool busy, PlannerMemory memory, DateTimeOffset now)
    {
        // A planner that starts anew beside running replicas knows nothing of their work: what there is stays until demand is heard of.
        var known = demand is null ? (int)Math.Min(capacity.Sum(pool => (long)Math.Max(0, pool.Desired)), PlannerWork.MostReplicas) : 0;
        var current = Math.Max(Math.Max(memory.LastReplicas, known), memory.LastHadWork ? 1 : 0);
        List<string> reasons = [demand is null ? Text($"no demand seen yet → holds {current}") : Text($"demand is {(now - demand.At).TotalSeconds:F0} s old → holds {current}")];
        return new ModelPlan(Spread(model, Clamp(model.Scaling, current, reasons), memory.LastHadWork || busy, reasons, now), memory);
    }
}
