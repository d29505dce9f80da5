using Serverless.Sessions;

namespace Serverless.Tests.Dispatching;

public sealed class MemoryWorkerSessionsTests : WorkerSessionsContract
{
    private readonly MemoryWorkerSessions _sessions = new();

    protected override IWorkerSessions Sessions => _sessions;

    protected override IDispatcherConnector Connector => _sessions;

    public override ValueTask InitializeAsync() => ValueTask.CompletedTask;
}
