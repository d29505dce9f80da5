namespace Serverless.Sessions;

/// <summary>The dispatcher's end of one connected worker.</summary>
public interface IWorkerSession
{
    /// <summary>Who it is.</summary>
    WorkerDescription Worker { get; }

    /// <summary>Tells the worker something. Never waits for the worker: false when the session has ended or its outbox (bounded above slots) is full.</summary>
    bool TrySend(DispatcherMessage message);

    /// <summary>Ends the session: the worker looks for the model's next dispatcher and takes along what it runs. Returns at once.</summary>
    void Close();

    /// <summary>What the worker says; ends when the session does. Read by one reader.</summary>
    IAsyncEnumerable<WorkerMessage> ReadAsync(CancellationToken cancellationToken);
}
