using System.Collections.Concurrent;
using System.Collections.Immutable;
using Serverless.Catalog;
using Serverless.Dispatching;

namespace Serverless.Scaling;

/// <summary>
/// Keeps the plan of every pool: plans again whenever demand changes and once a second, and remembers the decisions. Reading never waits. Thread-safe.
/// </summary>
public sealed class ScalePlans(PoolPlanner planner, ICatalogSource catalog, IDemandFeed demand, ICapacityFeed capacity, TimeProvider time) : IScaleJournal
{
    private const int KeptDecisions = 256;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<PoolName, LatestValue<ScaleDecision>> _latest = new();
    private readonly ConcurrentDictionary<PoolName, ImmutableQueue<ScaleDecision>> _history = new();
    private readonly ConcurrentDictionary<ModelName, PlannerMemory> _memory = new();

    /// <summary>When a plan was last made; null before the first.</summary>
    public DateTimeOffset? PlannedAt { get; private set; }

    /// <inheritdoc/>
    public ScaleDecision? Latest(PoolName pool) => Of(pool).Value;

    /// <inheritdoc/>
    public IReadOnlyList<ScaleDecision> History(PoolName pool) => [.. _history.GetValueOrDefault(pool, [])];

    /// <summary>The pool's decision now (if any) and each later one; a slow reader sees only the latest.</summary>
    public IAsyncEnumerable<ScaleDecision> WatchAsync(PoolName pool, CancellationToken cancellationToken) => Of(pool).WatchAsync(cancellationToken);

    /// <summary>What is remembered of a model: to be kept in state, as JSON, and given back by <see cref="Restore"/>.</summary>
    public PlannerMemory Memory(ModelName model) => _memory.GetValueOrDefault(model, PlannerMemory.Empty);

    /// <summary>Takes up what was remembered of a model before a restart, or by the planner whose lease this one took over.</summary>
    public void Restore(ModelName model, PlannerMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        _memory[model] = memory;
    }

    /// <summary>Plans until stopped.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        var watchers = catalog.Current.Models.Select(model => WatchAsync(model, stoppingToken)).ToArray();
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                foreach (var model in catalog.Current.Models) Plan(model);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }

        await Task.WhenAll(watchers);
    }

    /// <summary>Plans for one model now, by its latest demand.</summary>
    public void Plan(Model model)
    {
        ArgumentNullException.ThrowIfNull(model);
        lock (Of(model.Pools[0].Name))
        {
            var now = time.GetUtcNow();
            var plan = planner.Plan(model, demand.Latest(model.Name), [.. model.Pools.Select(pool => capacity.Latest(pool.Name))], _memory.GetValueOrDefault(model.Name, PlannerMemory.Empty), now);
            _memory[model.Name] = plan.Memory;
            foreach (var decision in plan.Decisions) Keep(decision);
            PlannedAt = now;
        }
    }

    private void Keep(ScaleDecision decision)
    {
        var latest = Of(decision.Pool);
        var changed = latest.Value is not { } last || last.Replicas != decision.Replicas || last.Active != decision.Active;
        latest.Set(decision);
        if (!changed) return;

        var history = _history.GetValueOrDefault(decision.Pool, []).Enqueue(decision);
        while (history.Count() > KeptDecisions) history = history.Dequeue();
        _history[decision.Pool] = history;
    }

    private async Task WatchAsync(Model model, CancellationToken stoppingToken)
    {
        try
        {
            await foreach (var _ in demand.WatchAsync(model.Name, stoppingToken)) Plan(model);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private LatestValue<ScaleDecision> Of(PoolName pool) => _latest.GetOrAdd(pool, _ => new LatestValue<ScaleDecision>());
}
