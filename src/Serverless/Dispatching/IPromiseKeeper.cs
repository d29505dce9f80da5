using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>Port: keeps what an id promised. A dispatcher calls it when such a request has ended, before the request's message is acknowledged.</summary>
public interface IPromiseKeeper
{
    /// <summary>Persists the result of an ended request (from its log) and tells whoever asked to be told. Idempotent: a redelivered request that has ended completes what is missing. Returns once it is safe; retries by itself until cancelled.</summary>
    /// <returns>False: its log has no end of it (a store lost it before it was kept), and it must run again.</returns>
    Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken);
}

/// <summary>For a host that promises nothing by an id.</summary>
public sealed class NoPromises : IPromiseKeeper
{
    /// <inheritdoc/>
    public Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken) => Task.FromResult(true);
}
