namespace Serverless.Sessions;

/// <summary>The worker's end of its session; disposing it ends the session.</summary>
public interface IDispatcherLink : IAsyncDisposable
{
    /// <summary>Epoch of the dispatcher at the other end.</summary>
    long Epoch { get; }

    /// <summary>Tells the dispatcher something. Waits while the inbox is full; false when the session has ended.</summary>
    ValueTask<bool> SendAsync(WorkerMessage message, CancellationToken cancellationToken);

    /// <summary>What the dispatcher says; ends when the session does. Read by one reader.</summary>
    IAsyncEnumerable<DispatcherMessage> ReadAsync(CancellationToken cancellationToken);
}
