using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>Keeps what an id promised, when such a request has ended: one of the <see cref="IEndObserver"/>s.</summary>
public interface IPromiseKeeper
{
    /// <summary>Persists the result of an ended request (from its log) and tells whoever asked to be told. Idempotent: a redelivered request that has ended completes what is missing. Returns once it is safe; retries by itself until cancelled.</summary>
    /// <returns>False: its log has no end of it (a store lost it before it was kept), and it must run again.</returns>
    Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken);
}
