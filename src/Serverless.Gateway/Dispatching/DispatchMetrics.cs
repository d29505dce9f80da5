using System.Diagnostics.Metrics;
using Serverless.Catalog;

namespace Serverless.Gateway.Dispatching;

/// <summary>What dispatchers do, in figures.</summary>
internal sealed class DispatchMetrics
{
    public const string MeterName = "Serverless.Dispatching";

    private readonly Histogram<double> _waited;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _adopted;
    private readonly Counter<long> _ended;

    public DispatchMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        var seconds = new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300] };
        _waited = meter.CreateHistogram("serverless.queue.wait.duration", "s", "From admitted to assigned to a replica.", advice: seconds);
        _lost = meter.CreateCounter<long>("serverless.dispatch.attempts_lost", "{attempt}", "Attempts that went away with their worker.");
        _adopted = meter.CreateCounter<long>("serverless.dispatch.attempts_adopted", "{attempt}", "Attempts that went on under another dispatcher or session.");
        _ended = meter.CreateCounter<long>("serverless.dispatch.given_up", "{request}", "Requests ended by their dispatcher, by reason.");
    }

    public void Assigned(ModelName model, TimeSpan waited) => _waited.Record(waited.TotalSeconds, Model(model));

    public void AttemptLost(ModelName model) => _lost.Add(1, Model(model));

    public void Adopted(ModelName model) => _adopted.Add(1, Model(model));

    public void GivenUp(ModelName model, string reason) => _ended.Add(1, Model(model), new KeyValuePair<string, object?>("reason", reason));

    private static KeyValuePair<string, object?> Model(ModelName model) => new("model", model.Value);
}
