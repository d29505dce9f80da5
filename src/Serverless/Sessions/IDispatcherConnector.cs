namespace Serverless.Sessions;

/// <summary>Port: how a worker reaches the dispatcher of its model. In memory; gRPC.</summary>
public interface IDispatcherConnector
{
    /// <summary>Connects and says who the worker is. Waits for a dispatcher if there is none yet.</summary>
    ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken);
}
