using System.Diagnostics.Metrics;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>A worker's figures.</summary>
internal sealed class WorkerMetrics
{
    public const string MeterName = "Serverless.Worker";

    private readonly Counter<long> _attempts;
    private readonly Counter<long> _promptTokens;
    private readonly Histogram<double> _modelLoad;
    private readonly Histogram<double> _modelPull;
    private readonly Histogram<double> _coldStart;
    private readonly Histogram<double> _firstToken;

    public WorkerMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        var seconds = new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600] };
        _attempts = meter.CreateCounter<long>("serverless.worker.attempts", "{attempt}", "Attempts that left a worker, by outcome.");
        _promptTokens = meter.CreateCounter<long>("serverless.worker.prompt_tokens", "{token}", "Prompt tokens of requests that ended on a worker, by whether they were computed or its prefix cache supplied them.");
        _modelPull = meter.CreateHistogram("serverless.model_pull.duration", "s", "How long a replica waited for its model's files: the pull, whoever made it.", advice: seconds);
        _modelLoad = meter.CreateHistogram("serverless.model_load.duration", "s", "From the model's files on this machine to a loaded engine.", advice: seconds);
        _coldStart = meter.CreateHistogram("serverless.cold_start.duration", "s", "From asked for to ready to take work.", advice: seconds);
        _firstToken = meter.CreateHistogram("serverless.cold_start.time_to_first_token", "s", "From asked for to the replica's first token.", advice: seconds);
    }

    public void AttemptLeft(ModelName model, AttemptOutcome outcome) => _attempts.Add(1, Model(model), new KeyValuePair<string, object?>("outcome", JsonNamingPolicy.SnakeCaseLower.ConvertName(outcome.ToString())));

    public void PromptRead(ModelName model, TokenUsage usage)
    {
        var cached = Math.Clamp(usage.CachedTokens, 0, usage.PromptTokens);
        _promptTokens.Add(usage.PromptTokens - cached, Model(model), new KeyValuePair<string, object?>("source", "computed"));
        _promptTokens.Add(cached, Model(model), new KeyValuePair<string, object?>("source", "cached"));
    }

    public void Loaded(ModelName model, TimeSpan took) => _modelLoad.Record(took.TotalSeconds, Model(model));

    public void Pulled(ModelName model, TimeSpan took) => _modelPull.Record(took.TotalSeconds, Model(model));

    public void Ready(ModelName model, TimeSpan took) => _coldStart.Record(took.TotalSeconds, Model(model));

    public void FirstToken(ModelName model, TimeSpan took) => _firstToken.Record(took.TotalSeconds, Model(model));

    private static KeyValuePair<string, object?> Model(ModelName model) => new("model", model.Value);
}
