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

    [LoggerMessage(Level = LogLevel.Debug, Message = "Request {Request} goes to {Replica} as attempt {Attempt} after {Seconds:F3} s.")]
    private partial void RequestAssigned(RequestId request, string replica, int attempt, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Request {Request} lost its worker {Replica}; another attempt continues it.")]
    private partial void WorkerLost(RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Request} lost too many workers in a row and is given up.")]
    private partial void RequestPoisoned(RequestId request);

    [LoggerMessage(Level = LogLevel.Information, Message = "Request {Request} passed its deadline and is ended.")]
    private partial void RequestExpired(RequestId request);

    [LoggerMessage(Level = LogLevel.Error, Message = "The dispatcher of {Model} failed and is started again; its requests are delivered again.")]
    private partial void DispatcherFaulted(Exception exception, ModelName model);
}
