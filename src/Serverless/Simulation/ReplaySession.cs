using Serverless.Sessions;

namespace Serverless.Simulation;

/// <summary>The session of a replayed replica: it has a description and nothing to say, since the replay calls its engine itself.</summary>
internal sealed class ReplaySession(WorkerDescription worker) : IWorkerSession
{
    public WorkerDescription Worker => worker;

    public bool TrySend(DispatcherMessage message) => true;

    public void Close()
    {
    }

    public IAsyncEnumerable<WorkerMessage> ReadAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<WorkerMessage>();
}
