using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Requests;

namespace Serverless.Gateway.Dispatching;

/// <summary>Dispatchers' news for the log and the metrics.</summary>
internal sealed partial class DispatchObserver(DispatchMetrics metrics, ILogger<DispatchObserver> logger) : IDispatchObserver
{
    public void Assigned(InferenceRequest request, string replica, int attempt, TimeSpan waited)
    {
        metrics.Assigned(request.Model, waited);
        RequestAssigned(request.Id, replica, attempt, waited.TotalSeconds);
    }

    public void AttemptLost(InferenceRequest request, string replica)
    {
        metrics.AttemptLost(request.Model);
        WorkerLost(request.Id, replica);
    }

    public void Poisoned(InferenceRequest request)
    {
        metrics.GivenUp(request.Model, "poisoned");
        RequestPoisoned(request.Id);
    }

    public void Expired(InferenceRequest request)
    {
        metrics.GivenUp(request.Model, "deadline");
        RequestExpired(request.Id);
    }

    public void Faulted(ModelName model, Exception exception) => DispatcherFaulted(exception, model);

    public void Adopted(InferenceRequest request, string replica, int attempt)
    {
        metrics.Adopted(request.Model);
        AttemptAdopted(request.Id, replica, attempt);
    }

    public void Held(ModelName model, long epoch)
    {
        ModelHeld(model);
        ModelEpoch(model, epoch);
    }

    public void GaveUp(ModelName model, string reason) => ModelGivenUp(model, reason);

    public void StoreLost(ModelName model) => LogLost(model);

    public void StoreBack(ModelName model) => LogBack(model);

    public void HolderGone(string holder, int requests) => GatewayGone(holder, requests);

    public void SourceFailed(ModelName model, string source, Exception exception) => StoreFailed(exception, model, source);

    public void NotUnderstood(InferenceRequest request, string replica) => RequestNotUnderstood(request.Id, replica, request.Endpoint);

    public void StopIgnored(InferenceRequest request, string replica)
    {
        metrics.AttemptLost(request.Model);
        RequestNotStopped(request.Id, replica);
    }

    public void Slept(ModelName model) => ModelSleeps(model);

    public void Woke(ModelName model) => ModelWakes(model);

    public void EndDelayed(InferenceRequest request, Exception exception, TimeSpan pause) => RequestEndDelayed(exception, request.Id, pause.TotalSeconds);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Request} goes to {Replica} as attempt {Attempt} after {Seconds:0.000} s")]
    private partial void RequestAssigned(RequestId request, string replica, int attempt, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Request {Request} lost its worker {Replica}; another attempt continues it.")]
    private partial void WorkerLost(RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Request} lost too many workers in a row and is given up.")]
    private partial void RequestPoisoned(RequestId request);

    [LoggerMessage(Level = LogLevel.Information, Message = "Request {Request} passed its deadline and is ended.")]
    private partial void RequestExpired(RequestId request);

    [LoggerMessage(Level = LogLevel.Error, Message = "The dispatcher of {Model} failed and is started again; its requests are delivered again.")]
    private partial void DispatcherFaulted(Exception exception, ModelName model);

    [LoggerMessage(Level = LogLevel.Information, Message = "Request {Request} goes on at {Replica} as attempt {Attempt}; nothing of it is repeated.")]
    private partial void AttemptAdopted(RequestId request, string replica, int attempt);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Model} is dispatched here")]
    private partial void ModelHeld(ModelName model);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Model} is dispatched with epoch {Epoch}")]
    private partial void ModelEpoch(ModelName model, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Model} is dispatched here no longer: {Reason}")]
    private partial void ModelGivenUp(ModelName model, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The log's store is away: of {Model} nothing new begins until it is back; what runs goes on.")]
    private partial void LogLost(ModelName model);

    [LoggerMessage(Level = LogLevel.Information, Message = "The log's store is back: {Model} is served again.")]
    private partial void LogBack(ModelName model);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Gateway {Holder} is gone; {Requests} requests of its connections end.")]
    private partial void GatewayGone(string holder, int requests);

    [LoggerMessage(Level = LogLevel.Error, Message = "The {Source} of the dispatcher of {Model} failed; it is asked again after a pause.")]
    private partial void StoreFailed(Exception exception, ModelName model, string source);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Request {Request} is not understood by replica {Replica} ('{Endpoint}'); another one may, so finish the roll-out.")]
    private partial void RequestNotUnderstood(RequestId request, string replica, EndpointName endpoint);

    [LoggerMessage(Level = LogLevel.Error, Message = "Replica {Replica} goes on with request {Request}, which it was told to stop: it counts as lost, and its session is closed.")]
    private partial void RequestNotStopped(RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Model} has had no work for a while; its dispatcher sleeps.")]
    private partial void ModelSleeps(ModelName model);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The dispatcher of {Model} wakes.")]
    private partial void ModelWakes(ModelName model);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What follows the end of request {Request} could not be done; it is tried again after {Seconds:0.0} s.")]
    private partial void RequestEndDelayed(Exception exception, RequestId request, double seconds);
}

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
