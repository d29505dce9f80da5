using System.Globalization;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>What one pool would need if it took all of its role's load, and why.</summary>
/// <param name="Pool">Which.</param>
/// <param name="Capacity">What there is of it.</param>
/// <param name="Least">Replicas below which some are added.</param>
/// <param name="Up">Replicas wanted, when some are added.</param>
/// <param name="Down">Replicas above which some are given up. What is between <paramref name="Least"/> and this stays as it is: a load near a mark does not flutter.</param>
/// <param name="Inputs">The numbers.</param>
/// <param name="Reasons">The words.</param>
internal sealed record PoolNeed(Pool Pool, PoolCapacity Capacity, int Least, int Up, int Down, DecisionInputs Inputs, IReadOnlyList<string> Reasons)
{
    /// <summary>Whether there is work.</summary>
    public bool HasWork => Inputs.PendingRequests > 0 || Inputs.RunningRequests > 0;

    /// <summary>Weighs the demand for a pool of <paramref name="speed"/> beside what is <paramref name="present"/> (of all pools of the role, in this pool's replicas).</summary>
    public static PoolNeed Of(Pool pool, PoolCapacity capacity, ModelDemand demand, ClassSpeed speed, PresentReplicas present, WarmLoad warm, PlannerOptions options, DateTimeOffset now)
    {
        var work = new PlannerWork(demand, speed, pool.Flavor.Role);
        var drain = DrainPlan.Replicas(work, present, options, now);
        var arrivals = Arrivals(work);
        var kv = pool.Flavor.Role == PoolRole.Prefill ? 0 : work.KvReplicas;
        var slots = work.SlotReplicas;
        var kvTokens = work.KvTokens;
        var floor = demand.HasWork ? Math.Max(Math.Max(drain, kv), Math.Max(slots, 1)) : 0;

        // The loads that were seen hold the bursts themselves; the mean that arrives needs room for them.
        var steady = Math.Max(warm.Load, demand.HasWork ? arrivals : 0);
        var up = Math.Max(floor, PlannerWork.Ceiling(steady));

        // A larger batch than was ever seen may do more: a reason not to add a replica, none to give one up.
        var seen = new PlannerWork(demand, speed with { DecodeTokensPerSecond = speed.SeenDecodeTokensPerSecond }, pool.Flavor.Role);
        var proven = Math.Max(steady, demand.HasWork ? Arrivals(seen) : 0);
        var inputs = new DecisionInputs
        {
            DemandAge = Math.Max(0, (now - demand.At).TotalSeconds),
            PendingRequests = work.Pending,
            PendingPromptTokens = work.PendingPrompt,
            PendingOutputTokens = work.PendingOutput,
            DeferredRequests = demand.Deferred.Sum(part => Math.Max(0, part.Requests)),
            RunningRequests = work.Running,
            PromptTokensPerSecond = work.PromptRate,
            OutputTokensPerSecond = work.OutputRate,
            Ready = present.Ready,
            Loading = present.ReadyIn.Count + present.Overdue,
            PrefillRate = speed.PrefillTokensPerSecond,
            CachedPromptShare = speed.CachedPromptShare,
            DecodeRate = speed.DecodeTokensPerSecond,
            ColdStartSeconds = speed.ColdStartSeconds,
            WorkSeconds = work.Seconds,
            Load = work.Load,
            ForArrivals = PlannerWork.Ceiling(arrivals),
            Warm = PlannerWork.Ceiling(warm.Load),
            ForBacklog = drain,
            ForKvCache = kv,
            ForSlots = slots,
            Wanted = up,
        };
        return new PoolNeed(pool, capacity, Math.Max(floor, PlannerWork.Ceiling(steady / (1 + options.UpMargin))), up, Math.Max(floor, PlannerWork.Ceiling(proven * (1 + options.DownMargin))), inputs, new LazyReasons(() => Words(inputs, warm, speed, kvTokens, present, options, pool.Flavor.Role)));

        double Arrivals(PlannerWork of) => of.Shared(of.Load, options.TargetUtilisation) / options.TargetUtilisation;
    }

    private static string WarmWords(WarmLoad warm, PlannerOptions options)
    {
        var (seen, kept) = (PlannerWork.Ceiling(warm.Seen), PlannerWork.Ceiling(warm.Load));
        var words = string.Create(CultureInfo.InvariantCulture, $"{options.WarmShare:P0} of the work of the last {options.WarmMemory.TotalMinutes:F0} min came at loads that {seen} replicas take at once");
        return words + (seen > kept
            ? string.Create(CultureInfo.InvariantCulture, $"; no more are started for it than there are requests or came in the last {ArrivalRate.DefaultTimeConstant:F0} s → {kept}")
            : string.Create(CultureInfo.InvariantCulture, $" → keeps {kept} warm"));
    }

    private static List<string> Words(DecisionInputs inputs, WarmLoad warmLoad, ClassSpeed speed, double kvTokens, PresentReplicas present, PlannerOptions options, PoolRole role)
    {
        var warm = WarmWords(warmLoad, options);
        if (inputs.PendingRequests == 0 && inputs.RunningRequests == 0) return inputs.Warm > 0 ? [warm] : ["no work pending or running → 0"];

        List<(int Replicas, string Text)> all =
        [
            (inputs.ForBacklog, string.Create(CultureInfo.InvariantCulture, $"{inputs.PendingPromptTokens:N0} prompt and {inputs.PendingOutputTokens:N0} output tokens pending, {inputs.RunningRequests} requests running = {inputs.WorkSeconds:F1} replica-seconds; target {options.DrainTime.TotalSeconds:F0} s; cold start {inputs.ColdStartSeconds:F1} s; {present.Counted} up or loading → {inputs.ForBacklog}")),
        ];
        if (inputs.ForArrivals > 0) all.Add((inputs.ForArrivals, string.Create(CultureInfo.InvariantCulture, $"{inputs.PromptTokensPerSecond:N0} prompt and {inputs.OutputTokensPerSecond:N0} output tokens/s arrive = {inputs.Load:F2} replicas at full use; {options.TargetUtilisation:P0} of a replica is planned for → {inputs.ForArrivals}")));
        if (inputs.Warm > 0) all.Add((inputs.Warm, warm));
        if (inputs.ForKvCache > 1) all.Add((inputs.ForKvCache, string.Create(CultureInfo.InvariantCulture, $"{kvTokens:N0} tokens of KV cache held or reserved, {speed.KvTokens:N0} a replica → {inputs.ForKvCache}")));
        if (inputs.ForSlots > 1) all.Add((inputs.ForSlots, string.Create(CultureInfo.InvariantCulture, $"{inputs.RunningRequests} requests run, {speed.Slots} a replica → {inputs.ForSlots}")));
        if (inputs.Wanted > all.Max(part => part.Replicas)) all.Insert(0, (inputs.Wanted, "work is there → 1"));

        List<string> words = [.. all.OrderByDescending(part => part.Replicas).Select(part => part.Text)];
        if (role != PoolRole.Both) words.Add(role == PoolRole.Prefill ? "prefill alone: output tokens are the work of other pools" : "decode alone: prompt tokens are the work of other pools");
        if (inputs.CachedPromptShare >= 0.005) words.Add(string.Create(CultureInfo.InvariantCulture, $"{inputs.CachedPromptShare:P0} of the prompt tokens are expected from prefix caches and not counted as work"));
        if (inputs.DeferredRequests > 0) words.Add(string.Create(CultureInfo.InvariantCulture, $"{inputs.DeferredRequests} of the pending requests have time until their deadlines"));
        if (present.Overdue > 0) words.Add(string.Create(CultureInfo.InvariantCulture, $"{present.Overdue} replicas load for more than {PresentReplicas.Expiry:F0} cold starts of {inputs.ColdStartSeconds:F1} s and are not counted on"));
        return words;
    }
}

/// <summary>The load that replicas are kept warm for.</summary>
/// <param name="Seen">What was seen lately, in replicas.</param>
/// <param name="Most">What was asked for before is kept; beyond that a replica is started only for a request that is there, or came lately.</param>
internal readonly record struct WarmLoad(double Seen, double Most)
{
    /// <summary>What counts of it.</summary>
    public double Load => Math.Min(Seen, Most);
}
