using Serverless.Catalog;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>
/// Plans for models and writes what changed. Not thread-safe.
/// </summary>
/// <remarks>
/// Models at rest (no work, no replica, nothing remembered that time would change) are passed over, and so is what was planned half a second ago from what is still so. Whoever knows that a model
/// has work again names it; beyond that those at rest are looked at every five seconds: ten thousand idle models cost next to nothing.
/// </remarks>
public sealed class PlanWriter(PoolPlanner planner, PlannerOptions options, BelievedDemand demand, ICapacityFeed capacity, IPlanFeed feed, TimeProvider time)
{
    /// <summary>How old the memory may be that a planner who takes over continues from, while a model has work.</summary>
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(5);

    /// <summary>A plan younger than this, made from what is still so, is not made again: time alone changes little in it.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromMilliseconds(500);

    /// <summary>How long it may take until a replica is seen that came up for a model at rest, unasked.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    private readonly Dictionary<ModelName, Written> _models = [];
    private readonly HashSet<ModelName> _awake = [];
    private readonly FleetPlanner _planner = new(planner, options);
    private ModelCatalog? _catalog;
    private long _lookedAt;

    /// <summary>Models planned so far, each time counted.</summary>
    internal long Planned { get; private set; }

    /// <summary>Continues from what was written last, by whomever.</summary>
    public async ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        var whole = await feed.ReadAsync(cancellationToken);
        _models.Clear();
        _awake.Clear();
        _catalog = null;
        _planner.Clear();
        foreach (var plan in whole?.Plans ?? [])
        {
            _models[plan.Model] = new Written { Plan = plan, Saved = plan, SavedAt = time.GetTimestamp() };
            demand.Learn(plan.Model, plan.Mean);
        }
    }

    /// <summary>These are looked at when all are that may have to be planned, at rest or not: they may have work.</summary>
    public void Wake(IEnumerable<Model> models)
    {
        ArgumentNullException.ThrowIfNull(models);
        foreach (var model in models) _awake.Add(model.Name);
    }

    /// <summary>Plans for these models now and writes what is new. False: another planner has the lease. What could not be written is written the next time.</summary>
    /// <param name="epoch">Of the planner's lease.</param>
    /// <param name="catalog">All models there are: what is remembered of others is given up.</param>
    /// <param name="models">Those of them that may have changed; null: all that are awake, and every five seconds all there are.</param>
    /// <param name="cancellationToken">Stops waiting; the plans may have been written.</param>
    public async ValueTask<bool> WriteAsync(long epoch, ModelCatalog catalog, IEnumerable<Model>? models, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        Keep(catalog);
        var now = time.GetUtcNow();
        List<PlanInput> due = [];
        foreach (var model in models ?? Due(catalog))
        {
            if (Input(model) is { } input) due.Add(input);
        }

        List<Written> changed = [];
        Planned += due.Count;
        var plannedAt = time.GetTimestamp();
        foreach (var (input, plan) in due.Zip(_planner.Plan(due, now)))
        {
            var written = _models[input.Model.Name];
            var mean = (written.Plan?.Mean ?? RequestMean.Prior).After(input.Demand);
            (written.Input, written.PlannedAt) = (input, plannedAt);
            written.Plan = new SharedPlan(input.Model.Name, plan.Decisions, plan.Memory, mean);
            if (IsNews(written)) changed.Add(written);
        }

        SharedPlan[] plans = [.. changed.Select(written => written.Plan!)];
        if (!await feed.WriteAsync(epoch, now, plans, cancellationToken)) return false;

        var at = time.GetTimestamp();
        foreach (var (written, plan) in changed.Zip(plans)) (written.Saved, written.SavedAt) = (plan, at);
        return true;
    }

    /// <summary>All that may have to be planned: those awake, or from time to time all there are.</summary>
    private IEnumerable<Model> Due(ModelCatalog catalog)
    {
        if (_lookedAt != 0 && !demand.IsCounted && time.GetElapsedTime(_lookedAt) < LookAgain) return [.. _awake.Select(catalog.Find).OfType<Model>()];

        _lookedAt = time.GetTimestamp();
        return catalog.Models;
    }

    /// <summary>A model that is gone gives back what it held: its budget and its place here.</summary>
    private void Keep(ModelCatalog catalog)
    {
        if (ReferenceEquals(catalog, _catalog)) return;

        (_catalog, _lookedAt) = (catalog, 0);
        _planner.Keep(catalog);
        foreach (var model in _models.Keys)
        {
            if (catalog.Find(model) is not null) continue;
            _models.Remove(model);
            _awake.Remove(model);
        }
    }

    private static bool Differ(SharedPlan plan, SharedPlan other)
    {
        if (plan.Decisions.Count != other.Decisions.Count) return true;
        for (var i = 0; i < plan.Decisions.Count; i++)
        {
            var (one, two) = (plan.Decisions[i], other.Decisions[i]);
            if (one.Replicas != two.Replicas || one.Active != two.Active || one.Pool != two.Pool) return true;
        }

        return false;
    }

    /// <summary>Null for a model at rest, and for one that was planned just now from the same.</summary>
    private PlanInput? Input(Model model)
    {
        if (!_models.TryGetValue(model.Name, out var written)) _models[model.Name] = written = new Written();

        var isKnown = written is { Plan: not null, Input: { } before } && ReferenceEquals(before.Model, model) && !IsUnsaved(written);
        if (isKnown && !demand.HasWork(model.Name) && IsAtRest(model, written.Plan!))
        {
            _planner.Rest(model);
            _awake.Remove(model.Name);
            return null;
        }

        _awake.Add(model.Name);
        var latest = demand.Latest(model.Name);
        var states = new PoolCapacity[model.Pools.Count];
        for (var i = 0; i < states.Length; i++) states[i] = capacity.Latest(model.Pools[i].Name);
        if (isKnown && Equals(latest, written.Input!.Demand) && time.GetElapsedTime(written.PlannedAt) < Fresh && states.AsSpan().SequenceEqual(written.Input.Capacity)) return null;

        return new PlanInput(model, latest, states, written.Plan?.Memory ?? PlannerMemory.Empty);
    }

    private bool IsAtRest(Model model, SharedPlan plan)
    {
        if (plan.Memory.LastHadWork) return false;
        foreach (var decision in plan.Decisions)
        {
            if (decision is not { Replicas: 0, Active: false }) return false;
        }

        foreach (var pool in model.Pools)
        {
            if (capacity.Latest(pool.Name) is not { Desired: 0, Ready: 0, Draining: 0, LoadingSince.Count: 0 }) return false;
        }

        foreach (var (_, pool) in plan.Memory.Pools)
        {
            if (pool.OutUntil is not null) return false;
        }

        return true;
    }

    /// <summary>Whether what was planned last was not written: it is planned and tried again.</summary>
    private static bool IsUnsaved(Written written) => written.Saved is not { } saved || Differ(written.Plan!, saved);

    private bool IsNews(Written written) =>
        IsUnsaved(written)
        || (!ReferenceEquals(written.Saved!.Memory, written.Plan!.Memory) && time.GetElapsedTime(written.SavedAt) >= Refresh);

    private sealed class Written
    {
        public PlanInput? Input { get; set; }

        public long PlannedAt { get; set; }

        public SharedPlan? Plan { get; set; }

        public SharedPlan? Saved { get; set; }

        public long SavedAt { get; set; }
    }
}
