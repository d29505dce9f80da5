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

        var busy = capacity.Any(pool => pool.LoadingSince.Count > 0 || pool.Draining > 0);
        if (demand is null || now - demand.At > options.StaleAfter) return Hold(model, demand, busy, memory, now);

        var known = Learn(demand, capacity, memory);
        var work = new PlannerWork(demand, known, options);
        List<string> reasons = [];
        var wanted = demand.HasWork ? Wanted(work, capacity, known, now, reasons) : 0;
        if (!demand.HasWork) reasons.Add("no work pending or running → 0");

        var recent = known.Recent.RemoveAll(entry => now - entry.At >= options.Window).Add((now, wanted));
        var steady = recent.Max(entry => entry.Replicas);
        if (steady > wanted) reasons.Insert(0, Text($"{steady} were wanted within the last {options.Window.TotalSeconds:F0} s → stays {steady}"));

        var clamped = Clamp(model.Scaling, steady, reasons);
        var plan = known with { Recent = Compact(recent), LastReplicas = clamped, LastHadWork = demand.HasWork };
        return new ModelPlan(Spread(model, clamped, demand.HasWork || busy, reasons, now), plan);
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

    /// <summary>Only the largest of entries that follow each other within a second matters: the window stays short whatever the rate of plans.</summary>
    private static System.Collections.Immutable.ImmutableArray<(DateTimeOffset At, int Replicas)> Compact(System.Collections.Immutable.ImmutableArray<(DateTimeOffset At, int Replicas)> recent)
    {
        if (recent.Length < 2) return recent;

        var (previous, last) = (recent[^2], recent[^1]);
        if (last.At - previous.At >= TimeSpan.FromSeconds(1)) return recent;
        if (previous.Replicas > last.Replicas) return recent.Length < 3 || recent[^3].Replicas < previous.Replicas ? recent : recent.RemoveAt(recent.Length - 2);
        return recent.RemoveAt(recent.Length - 2);
    }

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
        if (kv > 1) reasons.Add(Text($"{work.KvTokensNeeded(drain):N0} tokens of KV cache, {known.KvTokens * options.KvTarget:N0} a replica → {kv}"));
        if (slots > 1) reasons.Add(Text($"{work.Running} requests run, {work.Slots} a replica → {slots}"));

        var wanted = Math.Max(Math.Max(drain, rate), Math.Max(Math.Max(kv, slots), 1));
        if (wanted > drain) reasons.Add(Text($"the largest counts → {wanted}"));
        return wanted;
    }

    /// <summary>Step 4 with its reading notes: present replicas work from now, loading ones from when they are up, new ones after a cold start.</summary>
    private int Drain(PlannerWork work, IReadOnlyList<PoolCapacity> capacity, PlannerMemory known, DateTimeOffset now, List<string> reasons)
    {
        var coldStart = known.ColdStartSeconds > 0 ? known.ColdStartSeconds : options.ColdStartPrior.TotalSeconds;
        var drainTime = options.DrainTime.TotalSeconds;
        var horizon = coldStart + drainTime;
        var present = new List<double>(capacity.Sum(pool => pool.Ready + pool.LoadingSince.Count));
        foreach (var pool in capacity)
        {
            present.AddRange(Enumerable.Repeat(horizon, pool.Ready));
            foreach (var since in pool.LoadingSince)
            {
                var age = Math.Max(0, (now - since).TotalSeconds);
                if (age <= LoadingExpiry * coldStart) present.Add(horizon - Math.Max(0, coldStart - age));
            }
        }

        present.Sort((left, right) => right.CompareTo(left));
        var needed = work.ReplicaSeconds;
        var usable = 0.0;
        for (var i = 0; i < present.Count; i++)
        {
            if (usable >= needed) return Explain(i);
            usable += present[i];
        }

        if (usable >= needed) return Explain(present.Count);

        var fresh = Math.Ceiling((needed - usable) / drainTime);
        var loading = capacity.Sum(pool => pool.LoadingSince.Count);
        var economic = Math.Max(0, Math.Ceiling(needed / (options.EconomicFactor * coldStart)) - loading);
        return Explain((int)Math.Min(present.Count + Math.Min(fresh, economic), 1_000_000));

        int Explain(int replicas)
        {
            reasons.Add(Text($"{work.PendingPrompt:N0} prompt and {work.PendingOutput:N0} output tokens pending, {work.Running} requests running = {needed:F1} replica-seconds; {present.Count} up or loading, cold start {coldStart:F1} s, drain in {drainTime:F0} s → {replicas}"));
            return replicas;
        }
    }

    private static ModelPlan Hold(Model model, Demand? demand, bool busy, PlannerMemory memory, DateTimeOffset now)
    {
        var current = Math.Max(memory.LastReplicas, memory.LastHadWork ? 1 : 0);
        List<string> reasons = [demand is null ? "no demand seen yet → holds" : Text($"demand is {(now - demand.At).TotalSeconds:F0} s old → holds {current}")];
        return new ModelPlan(Spread(model, Clamp(model.Scaling, current, reasons), memory.LastHadWork || busy, reasons, now), memory);
    }
}
