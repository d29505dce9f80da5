using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>What dispatchers tell their host, for its log and metrics. Called on the dispatcher's loop: return at once.</summary>
public interface IDispatchObserver
{
    /// <summary>A request went to a replica after it had waited that long.</summary>
    void Assigned(InferenceRequest request, string replica, int attempt, TimeSpan waited);

    /// <summary>A request's worker went away with it; another attempt continues.</summary>
    void AttemptLost(InferenceRequest request, string replica);

    /// <summary>A request was given up after too many lost attempts.</summary>
    void Poisoned(InferenceRequest request);

    /// <summary>A request's deadline passed.</summary>
    void Expired(InferenceRequest request);

    /// <summary>A dispatcher stopped on a fault of ours and will be started again.</summary>
    void Faulted(ModelName model, Exception exception);
}
