using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using Serverless.Catalog;
using Serverless.Feeds;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>
/// The plan as one scaler serves it, with the decisions lately taken. Whoever planned, all scalers that took the same updates answer alike. Reading never waits. Thread-safe.
/// </summary>
/// <remarks>
/// <b>The latch.</b> Where the plan holds zero for a model and a demand younger than the plan has work, the model's preferred pool is answered with one replica, active: work that waits is never
/// answered with zero, whatever has become of the planner.
/// <b>The rest.</b> Whoever scales takes a pool that is not active to zero after its cooldown, whatever the plan keeps for it: that is told as a decision of its own once nothing of the pool is
/// left, and stands until there is work again.
/// </remarks>
public sealed class ScalePlans(ICatalogSource catalog, BelievedDemand demand, TimeProvider time, ICapacityFeed? capacity = null, IScaleObserver? observer = null) : IScaleJournal
{
    private const int KeptDecisions = 256;

    /// <summary>A replica that was asked for and never came is not waited for any longer.</summary>
    private static readonly TimeSpan NeverUp = TimeSpan.FromMinutes(1);

    /// <summary>How long it may take until a change is seen at a model at rest of which nothing was told.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    private static readonly string[] Ends = [" = ", " → ", "; "];

    private readonly ConcurrentDictionary<PoolName, Slot> _slots = new();
    private readonly TaskCompletionSource _known = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private readonly HashSet<ModelName> _awake = [];
    private ModelCatalog? _catalog;
    private long _lookedAt;
    private PlanUpdate? _last;
    private long _changes;
    private long _takenAt;
    private long _heardAt;

    /// <summary>When the plan was last heard to be right, by this machine's clock as demand is: the planner's own may be another machine's. Null before the first.</summary>
    public DateTimeOffset? TakenAt => Interlocked.Read(ref _takenAt) is not 0 and var ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>Ends when there is a plan.</summary>
    public Task Known => _known.Task;

    /// <summary>Time since the planner was last heard of, by the clock of this machine that never jumps; null before it was: what a store remembers may be old.</summary>
    public TimeSpan? Age => Interlocked.Read(ref _heardAt) is not 0 and var heard ? time.GetElapsedTime(heard) : null;

    /// <summary>What is answered for the pool: the plan, or the latch.</summary>
    public ScaleDecision? Latest(PoolName pool)
    {
        var planned = _slots.GetValueOrDefault(pool)?.Planned;
        return planned is { Active: true, Replicas: > 0 } ? planned : Latched(pool, planned) ?? planned;
    }

    /// <summary>What became of the pool last: a pool at rest is at zero, whatever is planned for it.</summary>
    ScaleDecision? IScaleJournal.Latest(PoolName pool) => _slots.GetValueOrDefault(pool)?.Rest ?? Latest(pool);

    /// <summary>Grows whenever <see cref="Newest"/> of any pool may have changed.</summary>
    public long Changes => Interlocked.Read(ref _changes);

    /// <summary>The newest of <see cref="History"/>.</summary>
    public ScaleDecision? Newest(PoolName pool) => _slots.GetValueOrDefault(pool)?.Newest;

    /// <inheritdoc/>
    public IReadOnlyList<ScaleDecision> History(PoolName pool) => _slots.GetValueOrDefault(pool)?.History ?? [];

    /// <summary>The pool's decision now (if any), and what ends when there is one that differs in replicas or activity.</summary>
    public (ScaleDecision? Decision, Task Changed) Watch(PoolName pool) => Of(pool).Served.Look();

    /// <summary>Takes an update. False: it is older than what is known, and nothing changed.</summary>
    public bool Take(PlanUpdate update)
    {
        ArgumentNullException.ThrowIfNull(update);
        lock (_lock)
        {
            if (update.IsOlderThan(_last)) return false;

            // Only an update after another says that somebody plans now; the same read again says nothing.
            if (_last?.IsOlderThan(update) == true) Interlocked.Exchange(ref _heardAt, time.GetTimestamp());
            if (_last?.IsOlderThan(update) != false) Interlocked.Exchange(ref _takenAt, time.GetUtcNow().UtcTicks);
            Volatile.Write(ref _last, update);
            foreach (var plan in update.Plans)
            {
                _awake.Add(plan.Model);
                demand.Learn(plan.Model, plan.Mean);
                foreach (var decision in plan.Decisions) Of(decision.Pool).Plan(decision);
                foreach (var decision in plan.Decisions) ServeNeedsLock(decision.Pool);
            }
        }

        _known.TrySetResult();
        return true;
    }

    /// <summary>These are looked at in the next round: their demand changed.</summary>
    public void Wake(IEnumerable<ModelName> models)
    {
        ArgumentNullException.ThrowIfNull(models);
        lock (_lock) _awake.UnionWith(models);
    }

    /// <summary>
    /// Looks for pools whose latch opens or closes and for those of which nothing is left: once a second. Models at rest are looked at every five seconds: of a thousand almost all, and what wakes one
    /// is told.
    /// </summary>
    public void LookAround()
    {
        foreach (var model in Due(catalog.Current)) Look(model);
    }

    private IEnumerable<Model> Due(ModelCatalog current)
    {
        lock (_lock)
        {
            if (_lookedAt != 0 && ReferenceEquals(current, _catalog) && !demand.IsCounted && time.GetElapsedTime(_lookedAt) < LookAgain) return [.. _awake.Select(current.Find).OfType<Model>()];

            (_catalog, _lookedAt) = (current, time.GetTimestamp());
            _awake.RemoveWhere(model => current.Find(model) is null);
            return current.Models;
        }
    }

    private void Look(Model model)
    {
        lock (_lock)
        {
            var hasWork = demand.HasWork(model.Name);
            var first = _slots.GetValueOrDefault(model.Pools[0].Name);
            if (first?.Planned is not { Active: true, Replicas: > 0 } && (hasWork || first?.ServesPlanOfNothing == false)) ServeNeedsLock(model.Pools[0].Name);

            var isAwake = hasWork;
            foreach (var pool in model.Pools)
            {
                if (_slots.GetValueOrDefault(pool.Name) is not { } slot) continue;

                if (!slot.IsSettled) Settle(pool.Name, slot, hasWork);
                isAwake |= !slot.IsSettled || !slot.ServesPlanOfNothing;
            }

            if (isAwake) _awake.Add(model.Name);
            else _awake.Remove(model.Name);
        }
    }

    private void Settle(PoolName pool, Slot slot, bool hasWork)
    {
        if (capacity is null) return;

        var now = time.GetUtcNow();
        if (hasWork) slot.WorkedAt = now;
        if (slot.Served.Value is not { Active: false } served) return;

        var isEmpty = capacity.Latest(pool) is { Desired: 0, Ready: 0, Draining: 0, LoadingSince.Count: 0 };
        var idle = now - (slot.WorkedAt ?? served.At);
        if (!isEmpty)
        {
            slot.WasUp = true;
            slot.Rest = null;
        }
        else if (slot.Rest is null && (slot.Target > 0 ? slot.WasUp || idle > NeverUp : served.Replicas > 0))
        {
            var reason = slot.Target > 0 ? string.Create(CultureInfo.InvariantCulture, $"idle for {Math.Max(0, idle.TotalSeconds):F0} s") : "no work";
            if (slot.Target > 0) observer?.Scaled(pool, slot.Target.Value, 0, reason);
            slot.Enter(new ScaleDecision(pool, now, 0, false, [reason + " → 0"]));
            Interlocked.Increment(ref _changes);
        }
    }

    private ScaleDecision? Latched(PoolName pool, ScaleDecision? planned)
    {
        if (catalog.Current.Find(pool)?.Model is not { } model || model.Pools[0].Name != pool) return null;
        if (demand.Latest(model.Name) is not { HasWork: true } waiting) return null;

        // A plan without inputs was made without demand: whenever it came, it does not know of this work.
        if (waiting.At <= TakenAt && planned is not { Inputs: null }) return null;
        if (model.Pools.Any(other => _slots.GetValueOrDefault(other.Name)?.Planned is { Active: true, Replicas: > 0 })) return null;

        var replicas = Math.Max(1, planned?.Replicas ?? 0);
        return new ScaleDecision(pool, waiting.At, replicas, true, [string.Create(CultureInfo.InvariantCulture, $"{waiting.PendingRequests} requests wait and {waiting.RunningRequests} run since the last plan → {replicas} until the planner speaks")]);
    }

    private void ServeNeedsLock(PoolName pool)
    {
        if (Latest(pool) is not { } decision) return;

        var slot = Of(pool);
        slot.Target ??= capacity?.Latest(pool).Desired ?? 0;
        if (decision.Active) slot.WorkedAt = time.GetUtcNow();
        if (!slot.Serve(decision)) return;
        Interlocked.Increment(ref _changes);

        // As whoever scales does it: from zero only for what is active, to zero only after the cooldown.
        var from = slot.Target.Value;
        var to = decision.Active || from > 0 ? Math.Max(1, decision.Replicas) : 0;
        slot.Target = to;
        if (from != to) observer?.Scaled(pool, from, to, ShortReason(decision));
    }

    /// <summary>The deciding reason without its arithmetic.</summary>
    private static string ShortReason(ScaleDecision decision)
    {
        if (decision.Reasons is not [var reason, ..]) return "";

        var end = Ends.Select(mark => reason.IndexOf(mark, StringComparison.Ordinal)).Where(at => at > 0).DefaultIfEmpty(reason.Length).Min();
        return reason[..end];
    }

    private Slot Of(PoolName pool) => _slots.GetOrAdd(pool, _ => new Slot());

    /// <summary>One pool: what was planned, what is answered, and the decisions taken.</summary>
    private sealed class Slot
    {
        private ImmutableQueue<ScaleDecision> _history = [];
        private ScaleDecision? _planned;
        private ScaleDecision? _newest;
        private ScaleDecision? _rest;
        private int _kept;

        public LatestValue<ScaleDecision> Served { get; } = new();

        public ScaleDecision? Planned => Volatile.Read(ref _planned);

        public IReadOnlyList<ScaleDecision> History => [.. Volatile.Read(ref _history)];

        public ScaleDecision? Newest => Volatile.Read(ref _newest);

        /// <summary>That it was taken to zero, while that is so.</summary>
        public ScaleDecision? Rest
        {
            get => Volatile.Read(ref _rest);
            set => Volatile.Write(ref _rest, value);
        }

        /// <summary>Replicas that whoever scales is to see to; null before the first decision.</summary>
        public int? Target { get; set; }

        /// <summary>Whether there was something of it since it was last active.</summary>
        public bool WasUp { get; set; }

        /// <summary>When it was last seen at work.</summary>
        public DateTimeOffset? WorkedAt { get; set; }

        /// <summary>Nothing can be told of it: it is at zero, and so is its plan.</summary>
        public bool IsSettled => Target is 0 && Served.Value is { Active: false, Replicas: 0 };

        /// <summary>It is answered as planned, with nothing: what is served changes when work comes or a plan does.</summary>
        public bool ServesPlanOfNothing => Target is not null && Served.Value is { Active: false } served && Planned is { Active: false } planned && served.Replicas == planned.Replicas;

        public void Plan(ScaleDecision decision) => Volatile.Write(ref _planned, decision);

        /// <summary>False: it is what was served before.</summary>
        public bool Serve(ScaleDecision decision)
        {
            if (Served.Value is { } last && last.Replicas == decision.Replicas && last.Active == decision.Active) return false;

            Served.Set(decision);
            if (decision.Active) (Rest, WasUp) = (null, false);
            if (Rest is null) Keep(decision); // at rest, what the plan would keep changes nothing
            return true;
        }

        /// <summary>It was taken to zero.</summary>
        public void Enter(ScaleDecision rest)
        {
            (Target, WasUp, Rest) = (0, false, rest);
            Keep(rest);
        }

        private void Keep(ScaleDecision decision)
        {
            Volatile.Write(ref _newest, decision);
            var history = _history.Enqueue(decision);
            if (++_kept > KeptDecisions) (history, _kept) = (history.Dequeue(), KeptDecisions);
            Volatile.Write(ref _history, history);
        }
    }
}
