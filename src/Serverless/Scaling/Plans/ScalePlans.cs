using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using Serverless.Catalog;
using Serverless.Feeds;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>
/// The plan as one scaler serves it, with the decisions lately taken. Whoever planned, all scalers that took the same updates answer alike. Reading never waits. Thread-safe.
/// </summary>
/// <remarks>
/// <b>The latch.</b> Where the plan holds zero for a model and a demand younger than the plan has work, the model's preferred pool is answered with one replica, active: work that waits is never
/// answered with zero, whatever has become of the planner.
/// </remarks>
public sealed class ScalePlans(ICatalogSource catalog, BelievedDemand demand, TimeProvider time) : IScaleJournal
{
    private const int KeptDecisions = 256;

    private readonly ConcurrentDictionary<PoolName, Slot> _slots = new();
    private readonly TaskCompletionSource _known = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private PlanUpdate? _last;
    private long _takenAt;
    private long _heardAt;

    /// <summary>When the plan was last heard to be right, by this machine's clock as demand is: the planner's own may be another machine's. Null before the first.</summary>
    public DateTimeOffset? TakenAt => Interlocked.Read(ref _takenAt) is not 0 and var ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>Ends when there is a plan.</summary>
    public Task Known => _known.Task;

    /// <summary>Time since the planner was last heard of, by the clock of this machine that never jumps; null before it was: what a store remembers may be old.</summary>
    public TimeSpan? Age => Interlocked.Read(ref _heardAt) is not 0 and var heard ? time.GetElapsedTime(heard) : null;

    /// <inheritdoc/>
    public ScaleDecision? Latest(PoolName pool)
    {
        var planned = _slots.GetValueOrDefault(pool)?.Planned;
        return planned is { Active: true, Replicas: > 0 } ? planned : Latched(pool, planned) ?? planned;
    }

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
                demand.Learn(plan.Model, plan.Mean);
                foreach (var decision in plan.Decisions) Of(decision.Pool).Plan(decision);
                foreach (var decision in plan.Decisions) ServeNeedsLock(decision.Pool);
            }
        }

        _known.TrySetResult();
        return true;
    }

    /// <summary>Looks for pools whose latch opens or closes: once a second, and when demand comes.</summary>
    public void Latch(IEnumerable<ModelName> models)
    {
        ArgumentNullException.ThrowIfNull(models);
        var current = catalog.Current;
        foreach (var name in models)
        {
            if (current.Find(name) is not { } model) continue;

            var pool = model.Pools[0].Name;
            if (_slots.GetValueOrDefault(pool)?.Planned is { Active: true, Replicas: > 0 }) continue;
            lock (_lock) ServeNeedsLock(pool);
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
        if (Latest(pool) is { } decision) Of(pool).Serve(decision);
    }

    private Slot Of(PoolName pool) => _slots.GetOrAdd(pool, _ => new Slot());

    /// <summary>One pool: what was planned, what is answered, and the decisions taken.</summary>
    private sealed class Slot
    {
        private ImmutableQueue<ScaleDecision> _history = [];
        private ScaleDecision? _planned;
        private int _kept;

        public LatestValue<ScaleDecision> Served { get; } = new();

        public ScaleDecision? Planned => Volatile.Read(ref _planned);

        public IReadOnlyList<ScaleDecision> History => [.. Volatile.Read(ref _history)];

        public void Plan(ScaleDecision decision) => Volatile.Write(ref _planned, decision);

        public void Serve(ScaleDecision decision)
        {
            if (Served.Value is { } last && last.Replicas == decision.Replicas && last.Active == decision.Active) return;

            Served.Set(decision);
            var history = _history.Enqueue(decision);
            if (++_kept > KeptDecisions) (history, _kept) = (history.Dequeue(), KeptDecisions);
            Volatile.Write(ref _history, history);
        }
    }
}
