using System.Diagnostics.Metrics;
using Serverless.Catalog;
using Serverless.Scaling;

namespace Serverless.Scaler.Keda;

/// <summary>The scaler's figures.</summary>
internal sealed class ScalerMetrics
{
    public const string MeterName = "Serverless.Scaler";

    private readonly Counter<long> _calls;

    public ScalerMetrics(IMeterFactory meters, ICatalogSource catalog, ScalePlans plans)
    {
        var meter = meters.Create(MeterName);
        _calls = meter.CreateCounter<long>("serverless.scaler.calls", "{call}", "Calls of KEDA's contract, by method.");
        meter.CreateObservableGauge(
            "serverless.scaler.desired_replicas",
            () => catalog.Current.Pools.Select(pool => new Measurement<int>(plans.Latest(pool.Name)?.Replicas ?? 0, new KeyValuePair<string, object?>("pool", pool.Name.Value))),
            "{replica}",
            "Replicas each pool should have.");
    }

    public void Called(string method) => _calls.Add(1, new KeyValuePair<string, object?>("rpc.method", method));
}
