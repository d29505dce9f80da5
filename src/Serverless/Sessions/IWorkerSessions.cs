using Serverless.Catalog;

namespace Serverless.Sessions;

/// <summary>Port: the workers of a model, as its dispatcher sees them. In memory; gRPC.</summary>
public interface IWorkerSessions
{
    /// <summary>
    /// Sessions of the model's workers, those that wait and those that will come, until cancelled. One reader per model. Each worker is told <paramref name="epoch"/>;
    /// one that has followed a higher one leaves.
    /// </summary>
    IAsyncEnumerable<IWorkerSession> AcceptAsync(ModelName model, long epoch, CancellationToken cancellationToken);
}
