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

    /// <summary>A worker goes on with an attempt that it had begun under an earlier dispatcher or session.</summary>
    void Adopted(InferenceRequest request, string replica, int attempt)
    {
    }

    /// <summary>This gateway dispatches the model now.</summary>
    void Held(ModelName model, long epoch)
    {
    }

    /// <summary>This gateway dispatches the model no longer; why.</summary>
    void GaveUp(ModelName model, string reason)
    {
    }

    /// <summary>The log's store cannot be reached: nothing new begins.</summary>
    void StoreLost(ModelName model)
    {
    }

    /// <summary>It can again.</summary>
    void StoreBack(ModelName model)
    {
    }

    /// <summary>A store, a source of deliveries, ends or sessions failed with an error that says more than that it is away; it is asked again.</summary>
    void SourceFailed(ModelName model, string source, Exception exception)
    {
    }

    /// <summary>A worker could not read a request: another one may.</summary>
    void NotUnderstood(InferenceRequest request, string replica)
    {
    }

    /// <summary>A worker goes on with what it was told to stop: it counts as lost, and its session is closed.</summary>
    void StopIgnored(InferenceRequest request, string replica)
    {
    }

    /// <summary>The model has had no work for a while: its dispatcher sleeps until there is some.</summary>
    void Slept(ModelName model)
    {
    }

    /// <summary>It looks for work again.</summary>
    void Woke(ModelName model)
    {
    }

    /// <summary>A gateway is gone, and the requests of its connections, so many of them, end.</summary>
    void HolderGone(string holder, int requests)
    {
    }

    /// <summary>What follows a request's end could not be done and is tried again after a pause.</summary>
    void EndDelayed(InferenceRequest request, Exception exception, TimeSpan pause)
    {
    }
}
