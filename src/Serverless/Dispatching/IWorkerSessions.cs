using Serverless.Catalog;

namespace Serverless.Dispatching;

/// <summary>Port: the workers of a model, as its dispatcher sees them. In memory; gRPC.</summary>
public interface IWorkerSessions
{
    /// <summary>Sessions of the model's workers, those that are connected and those that will be, until cancelled. One reader per model.</summary>
    IAsyncEnumerable<IWorkerSession> AcceptAsync(ModelName model, CancellationToken cancellationToken);
}
