using System.Diagnostics.Metrics;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Hosting.Telemetry;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>The scaler's figures.</summary>
internal sealed class ScalerMetrics : IDisposable
{
    public const string MeterName = "Serverless.Scaler";

    private static readonly InstrumentAdvice<double> Fast = new() { HistogramBucketBoundaries = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1] };

    private readonly TimeProvider _time;
    private readonly Histogram<double> _duration;
    private readonly UpDownCounter<long> _streams;
    private readonly Counter<long> _pushes;
    private readonly PassingGauges _gauges;

    public ScalerMetrics(IMeterFactory meters, ICatalogSource catalog, ScalePlans plans, LeasedPlanner planner, IDemandFeed demand, ICapacityFeed capacity, TimeProvider time)
    {
        _time = time;
        var meter = meters.Create(MeterName);
        _duration = meter.CreateHistogram("serverless.scaler.call.duration", "s", "Time to answer a call of KEDA's contract, by method and outcome; a stream is not counted.", advice: Fast);
        _streams = meter.CreateUpDownCounter<long>("serverless.scaler.streams", "{stream}", "Streams open now, by method.");
        _pushes = meter.CreateCounter<long>("serverless.scaler.pushes", "{message}", "Activity written to streams, by state.");
        meter.CreateObservableGauge("serverless.scaler.plan.age", () => plans.Age is { } age ? [new Measurement<double>(age.TotalSeconds)] : Array.Empty<Measurement<double>>(), "s", "Time since the planner was last heard of.");
        meter.CreateObservableGauge("serverless.scaler.planner", () => planner.Leads ? 1 : 0, "{planner}", "1 while this scaler is the planner.");
        meter.CreateObservableGauge(
            "serverless.scaler.active_pools",
            () => catalog.Current.Pools.Count(pool => plans.Latest(pool.Name) is { Active: true }),
            "{pool}",
            "Pools that must not be scaled to zero now.");
        _gauges = new PassingGauges(meters, MeterName, (passing, gauges) => CreateGauges(passing, gauges, catalog, plans, demand, capacity));
    }

    public void Dispose() => _gauges.Dispose();

    private void CreateGauges(Meter meter, PassingGauges gauges, ICatalogSource catalog, ScalePlans plans, IDemandFeed demand, ICapacityFeed capacity)
    {
        meter.CreateObservableGauge(
            "serverless.scaler.desired_replicas",
            () =>
            {
                var pools = catalog.Current.Pools;
                gauges.Telling(pools.Select(pool => pool.Name.Value));
                return pools.Select(pool => new Measurement<int>(plans.Latest(pool.Name)?.Replicas ?? 0, Tags(pool)));
            },
            "{replica}",
            "Replicas each pool should have.");
        meter.CreateObservableGauge(
            "serverless.scaler.stock",
            () => from pool in catalog.Current.Pools let available = capacity.Latest(pool.Name).Available where available is not null select new Measurement<int>(available.Value, Tags(pool)),
            "{replica}",
            "Replicas that nodes have room for beyond those there are, where that is known.");
        meter.CreateObservableGauge(
            "serverless.scaler.demand.age",
            () => from model in catalog.Current.Models let latest = demand.Latest(model.Name) where latest is not null select new Measurement<double>(latest.Age(_time.GetUtcNow()).TotalSeconds, new KeyValuePair<string, object?>("model", model.Name.Value)),
            "s",
            "Time since a model's dispatcher was last heard of, where it ever was.");
    }

    /// <summary>A call begins.</summary>
    public MeasuredCall Call(string method)
    {
        var began = _time.GetTimestamp();
        return new MeasuredCall(answered => _duration.Record(_time.GetElapsedTime(began).TotalSeconds, Method(method), new KeyValuePair<string, object?>("outcome", answered ? "ended" : "failed")));
    }

    /// <summary>A stream opens.</summary>
    public MeasuredCall Stream(string method)
    {
        _streams.Add(1, Method(method));
        return new MeasuredCall(_ => _streams.Add(-1, Method(method)));
    }

    public void Pushed(bool active) => _pushes.Add(1, new KeyValuePair<string, object?>("active", active));

    private static KeyValuePair<string, object?>[] Tags(Pool pool) => [new("model", pool.Model.Name.Value), new("pool", pool.Name.Value)];

    private static KeyValuePair<string, object?> Method(string method) => new("rpc.method", method);
}
