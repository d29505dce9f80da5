using Serverless.Batches;
using Serverless.Leases;

namespace Serverless.Gateway.Batches;

/// <summary>A batch that runs here, with its lease: what it does ends no later than that. Thread-safe, but for <see cref="StopAsync"/>.</summary>
internal sealed class RunningBatch : IDisposable
{
    private readonly CancellationTokenSource _given;
    private readonly CancellationTokenSource _lost;
    private bool _stopped;

    /// <param name="open">Which.</param>
    /// <param name="lease">Its lease.</param>
    /// <param name="left">How long that lasts.</param>
    /// <param name="time">Whose clock counts.</param>
    public RunningBatch(OpenBatch open, Lease lease, TimeSpan left, TimeProvider time)
    {
        (Open, Lease) = (open, lease);
        _lost = new CancellationTokenSource(AtLeastNone(left), time);
        _given = new CancellationTokenSource(AtLeastNone(open.ExpiresAt - time.GetUtcNow()), time);
    }

    public OpenBatch Open { get; }

    public Lease Lease { get; }

    /// <summary>Until it has ended, or has left.</summary>
    public Task Task { get; private set; } = Task.CompletedTask;

    /// <summary>It makes room for another.</summary>
    public bool IsLeaving { get; private set; }

    /// <summary>Cancelled when it is to be brought to its end: its owner gave it up, or its window is over.</summary>
    public CancellationToken Given => _given.Token;

    public void Start(Func<CancellationToken, Task> run) => Task = run(_lost.Token);

    /// <summary>Its lease was renewed.</summary>
    public void Extend(TimeSpan left) => _lost.CancelAfter(AtLeastNone(left));

    /// <summary>Its lease is another's, or is wanted for another batch.</summary>
    public void Leave()
    {
        IsLeaving = true;
        _lost.Cancel();
    }

    /// <summary>Its owner gave it up.</summary>
    public void End() => _given.Cancel();

    /// <summary>Has it leave, and waits for that.</summary>
    public async Task StopAsync()
    {
        if (_stopped) return;
        _stopped = true;
        await _lost.CancelAsync();
        await Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Dispose();
    }

    public void Dispose()
    {
        _given.Dispose();
        _lost.Dispose();
    }

    private static TimeSpan AtLeastNone(TimeSpan left) => left > TimeSpan.Zero ? left : TimeSpan.Zero;
}
