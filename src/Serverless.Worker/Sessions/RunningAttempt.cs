namespace Serverless.Worker.Sessions;

/// <summary>An attempt while it runs, and the means to stop it.</summary>
internal sealed class RunningAttempt(CancellationTokenSource cancellation) : IDisposable
{
    private readonly Lock _lock = new();
    private bool _disposed;

    public Task Task { get; set; } = Task.CompletedTask;

    public CancellationToken Token { get; } = cancellation.Token;

    public bool Preempted { get; private set; }

    public void Stop(bool preempted)
    {
        lock (_lock)
        {
            if (_disposed) return;
            Preempted = preempted;
            cancellation.Cancel();
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            cancellation.Dispose();
        }
    }
}
