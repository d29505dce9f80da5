using System.Diagnostics;
using System.Diagnostics.Metrics;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Telemetry;

/// <summary>What the gateway counts. Names of OpenTelemetry's GenAI conventions where they have one; seconds; tags from closed sets only.</summary>
internal sealed class GatewayMetrics
{
    public const string MeterName = "Serverless.Gateway";

    /// <summary>Stands for every model name that is not in the catalogue: clients must not make series.</summary>
    public const string OtherModel = "_other";

    // Buckets as the conventions advise: github.com/open-telemetry/semantic-conventions, docs/gen-ai/gen-ai-metrics.md.
    private static readonly InstrumentAdvice<double> Durations = new() { HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] };
    private static readonly InstrumentAdvice<double> FirstTokens = new() { HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60] };
    private static readonly InstrumentAdvice<double> TokenTimes = new() { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5] };

    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _tokenTime;
    private readonly Counter<long> _tokens;
    private readonly Counter<long> _refusals;
    private readonly Counter<long> _retries;
    private readonly Counter<long> _resumed;
    private readonly Counter<long> _promoted;
    private readonly Counter<long> _replayed;
    private readonly Counter<long> _unseen;
    private readonly UpDownCounter<long> _open;
    private readonly UpDownCounter<long> _waiting;

    public GatewayMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _duration = meter.CreateHistogram("gen_ai.server.request.duration", "s", "Time from a request's first byte to the last of its answer.", null, Durations);
        _firstToken = meter.CreateHistogram("gen_ai.server.time_to_first_token", "s", "Time from a request's first byte to its first output.", null, FirstTokens);
        _tokenTime = meter.CreateHistogram("gen_ai.server.time_per_output_token", "s", "Mean time of an output token after the first of its request.", null, TokenTimes);
        _tokens = meter.CreateCounter<long>("serverless.gateway.tokens", "{token}", "Tokens of requests that have ended, also of those that failed or were cancelled.");
        _refusals = meter.CreateCounter<long>("serverless.gateway.refusals", "{request}", "Requests that were refused before they were queued.");
        _retries = meter.CreateCounter<long>("serverless.gateway.client_retries", "{request}", "Requests that a client's SDK sent again.");
        _resumed = meter.CreateCounter<long>("serverless.gateway.resumed_streams", "{stream}", "Streams that a client followed by its request's id.");
        _promoted = meter.CreateCounter<long>("serverless.gateway.promised_requests", "{request}", "Requests that were given an id instead of an answer.");
        _replayed = meter.CreateCounter<long>("serverless.gateway.repeated_requests", "{request}", "Requests that an idempotency key showed to be one that was there.");
        _unseen = meter.CreateCounter<long>("serverless.gateway.unseen_results", "{request}", "Results that were published again and again and never came back: nobody is told of them.");
        _open = meter.CreateUpDownCounter<long>("serverless.gateway.open_requests", "{request}", "Requests being answered.");
        _waiting = meter.CreateUpDownCounter<long>("serverless.gateway.waiting_requests", "{request}", "Queued requests without output yet.");
    }

    public void Opened(EndpointName endpoint) => _open.Add(1, Operation(endpoint));

    public void Closed(EndpointName endpoint, string model, ServingError? error, TimeSpan duration)
    {
        _open.Add(-1, Operation(endpoint));
        if (!_duration.Enabled) return;

        var tags = new TagList { Operation(endpoint), ModelTag(model) };
        if (error is { } value) tags.Add("error.type", ErrorTag(value));
        _duration.Record(duration.TotalSeconds, tags);
    }

    public void Refused(EndpointName endpoint, string model, ServingError error) =>
        _refusals.Add(1, Operation(endpoint), Ours(model), new("error.type", ErrorTag(error)));

    public void Retried(EndpointName endpoint) => _retries.Add(1, Operation(endpoint));

    public void Resumed(EndpointName endpoint) => _resumed.Add(1, Operation(endpoint));

    public void Promised(EndpointName endpoint, string model) => _promoted.Add(1, Operation(endpoint), Ours(model));

    public void Repeated(EndpointName endpoint) => _replayed.Add(1, Operation(endpoint));

    public void ResultUnseen(EndpointName endpoint, string model) => _unseen.Add(1, Operation(endpoint), Ours(model));

    public void WaitBegan(string model) => _waiting.Add(1, Ours(model));

    public void WaitEnded(string model) => _waiting.Add(-1, Ours(model));

    public void FirstOutput(EndpointName endpoint, string model, TimeSpan sinceArrival) => _firstToken.Record(sinceArrival.TotalSeconds, Operation(endpoint), ModelTag(model));

    /// <summary>The answer of a request, for the connection that asked for it first.</summary>
    public void Finished(EndpointName endpoint, string model, int completionTokens, TimeSpan sinceFirstOutput)
    {
        if (completionTokens > 1) _tokenTime.Record(sinceFirstOutput.TotalSeconds / (completionTokens - 1), Operation(endpoint), ModelTag(model));
    }

    /// <summary>What a request used that has ended, however it ended and whoever followed it.</summary>
    public void Used(EndpointName endpoint, string model, TokenUsage usage)
    {
        _tokens.Add(usage.PromptTokens, Operation(endpoint), Ours(model), new("gen_ai.token.type", "input"));
        _tokens.Add(usage.CompletionTokens, Operation(endpoint), Ours(model), new("gen_ai.token.type", "output"));
    }

    /// <summary>The label of the model on every figure of ours.</summary>
    private static KeyValuePair<string, object?> Ours(string model) => new("model", model);

    /// <summary>The same as OpenTelemetry's conventions call it, on the figures that are theirs.</summary>
    private static KeyValuePair<string, object?> ModelTag(string model) => new("gen_ai.request.model", model);

    private static KeyValuePair<string, object?> Operation(EndpointName endpoint) => new("gen_ai.operation.name", ApiEndpoint.TryFind(endpoint, out var known) ? known.Operation : ApiEndpoint.OtherOperation);

    /// <summary>The table's code, a closed set: never what a client wrote.</summary>
    private static string ErrorTag(ServingError error) => ServingErrors.Row(error).Code ?? "invalid_request";
}
