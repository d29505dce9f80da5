using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>An attempt while it runs, and the means to stop it.</summary>
internal sealed class RunningAttempt(Assignment assignment, CancellationTokenSource cancellation) : IDisposable
{
    private readonly Lock _lock = new();
    private bool _disposed;
    private bool _stopped;

    public Assignment Assignment => assignment;

    public int Number => assignment.Fence.Attempt;

    public Task Task { get; set; } = Task.CompletedTask;

    /// <summary>What it says.</summary>
    public required AttemptLog Log { get; init; }

    public CancellationToken Token { get; } = cancellation.Token;

    /// <summary>How it leaves when it is cancelled: as the first stop said; returned, if it was the worker that stopped.</summary>
    public AttemptOutcome Outcome { get; private set; } = AttemptOutcome.Returned;

    public void Stop(AttemptOutcome outcome)
    {
        lock (_lock)
        {
            if (_disposed || _stopped) return;
            (_stopped, Outcome) = (true, outcome);
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
