using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Dispatching;
using Serverless.Hosting.Telemetry;

namespace Serverless.Gateway.Dispatching;

/// <summary>
/// How the models stand that this gateway dispatches. A model has one dispatcher, so sums over gateways count nothing twice: of a model that another has taken over zeros are told, so
/// that one which nobody took over is seen. Of a model that the catalogue has no longer nothing is told: names that come and go must not become series for ever.
/// </summary>
internal sealed class ModelMetrics : IDisposable
{
    private readonly DispatcherSet _dispatchers;
    private readonly ICatalogSource _catalog;
    private readonly IDemandFeed _demand;
    private readonly PassingGauges _gauges;

    /// <summary>The models that were dispatched here, with their pools as they were then.</summary>
    private readonly ConcurrentDictionary<ModelName, PoolName[]> _seen = new();

    public ModelMetrics(IMeterFactory meters, DispatcherSet dispatchers, ICatalogSource catalog, IDemandFeed demand)
    {
        (_dispatchers, _catalog, _demand) = (dispatchers, catalog, demand);
        var meter = meters.Create(DispatchMetrics.MeterName);
        meter.CreateObservableGauge("serverless.dispatch.lease", () => dispatchers.State.HoldsLease ? 1 : 0, "{lease}", "1 while this gateway holds its own lease: without it the others end what its connections wait for.");
        meter.CreateObservableGauge("serverless.dispatch.models", States, "{model}", "Models that this gateway dispatches, by state.");
        _gauges = new PassingGauges(meters, DispatchMetrics.MeterName, CreateGauges);
    }

    public void Dispose() => _gauges.Dispose();

    private void CreateGauges(Meter meter, PassingGauges gauges)
    {
        meter.CreateObservableGauge("serverless.model.dispatchers", () => OfModels((_, held, _) => held ? 1L : 0), "{dispatcher}", "1 on the gateway that dispatches the model; the sum over gateways is 1, or nobody serves it.");
        meter.CreateObservableGauge("serverless.model.pending_requests", () => OfModels((demand, _, _) => demand?.PendingRequests ?? 0L), "{request}", "Requests that wait for a replica.");
        meter.CreateObservableGauge("serverless.model.pending_tokens", () => Each().SelectMany(PendingTokens), "{token}", "Their tokens: prompts, and the output expected of them.");
        meter.CreateObservableGauge("serverless.model.running_requests", () => OfModels((demand, _, _) => demand?.RunningRequests ?? 0L), "{request}", "Requests that run at replicas.");
        meter.CreateObservableGauge("serverless.model.running_tokens", () => OfModels((demand, _, _) => demand?.RunningTokens ?? 0L), "{token}", "Tokens that those hold or may come to hold.");
        meter.CreateObservableGauge("serverless.pool.replicas", () => AllReplicas(gauges), "{replica}", "Replicas that are connected, by state.");
        meter.CreateObservableGauge("serverless.pool.kv_cache.used", () => OfPools(replica => replica.KvUsedTokens), "{token}", "Tokens in the KV caches of the pool's replicas.");
        meter.CreateObservableGauge("serverless.pool.kv_cache.capacity", () => OfPools(replica => replica.KvCapacityTokens), "{token}", "Tokens that those hold at most.");
    }

    private IEnumerable<Measurement<int>> States()
    {
        var state = _dispatchers.State;
        return [new(state.Awake, new KeyValuePair<string, object?>("state", "awake")), new(state.Models - state.Awake, new KeyValuePair<string, object?>("state", "asleep"))];
    }

    /// <summary>Every model that there is and that is or was dispatched here; demand only of those that are.</summary>
    private IEnumerable<(ModelName Model, bool Held, ModelDemand? Demand, PoolName[] Pools)> Each()
    {
        var catalog = _catalog.Current;
        foreach (var model in catalog.Models)
        {
            if (_dispatchers.Dispatches(model.Name)) _seen[model.Name] = [.. model.Pools.Select(pool => pool.Name)];
        }

        foreach (var (model, pools) in _seen)
        {
            var held = _dispatchers.Dispatches(model);
            if (!held && catalog.Find(model) is null) _seen.TryRemove(model, out _);
            else yield return (model, held, held ? _demand.Latest(model) : null, pools);
        }
    }

    private IEnumerable<Measurement<long>> OfModels(Func<ModelDemand?, bool, ModelName, long> value) =>
        Each().Select(each => new Measurement<long>(value(each.Demand, each.Held, each.Model), Tag("model", each.Model.Value)));

    private IEnumerable<Measurement<long>> OfPools(Func<ReplicaDemand, long> value) => Each().SelectMany(each => each.Pools.Select(pool =>
        new Measurement<long>(Of(each.Demand, pool).Sum(value), Tag("model", each.Model.Value), Tag("pool", pool.Value))));

    private static IEnumerable<Measurement<long>> PendingTokens((ModelName Model, bool Held, ModelDemand? Demand, PoolName[] Pools) each) =>
    [
        new(each.Demand?.PendingPromptTokens ?? 0, Tag("model", each.Model.Value), Tag("gen_ai.token.type", "input")),
        new(each.Demand?.PendingOutputTokens ?? 0, Tag("model", each.Model.Value), Tag("gen_ai.token.type", "output")),
    ];

    private IEnumerable<Measurement<long>> AllReplicas(PassingGauges gauges)
    {
        var each = Each().ToList();
        gauges.Telling(each.SelectMany(model => model.Pools).Select(pool => pool.Value));
        return each.SelectMany(Replicas);
    }

    private static IEnumerable<Measurement<long>> Replicas((ModelName Model, bool Held, ModelDemand? Demand, PoolName[] Pools) each) => each.Pools.SelectMany(pool =>
    {
        var (ready, loading, draining) = (0L, 0L, 0L);
        foreach (var replica in Of(each.Demand, pool))
        {
            if (replica.Draining) draining++;
            else if (replica.Loading) loading++;
            else ready++;
        }

        return new[] { State("ready", ready), State("loading", loading), State("draining", draining) };

        Measurement<long> State(string state, long count) => new(count, Tag("model", each.Model.Value), Tag("pool", pool.Value), Tag("state", state));
    });

    private static IEnumerable<ReplicaDemand> Of(ModelDemand? demand, PoolName pool) => (demand?.Replicas ?? []).Where(replica => replica.Pool == pool);

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);
}
