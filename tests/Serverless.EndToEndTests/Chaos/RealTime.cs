namespace Serverless.EndToEndTests.Chaos;

/// <summary>Real time that passes: a fault lasts, a client thinks. What a test waits <i>for</i> is a signal; this is what happens to real processes meanwhile.</summary>
internal static class RealTime
{
    /// <exception cref="OperationCanceledException">Cancelled before it was over.</exception>
    public static async Task PassAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        if (duration <= TimeSpan.Zero) return;

        using var timer = new PeriodicTimer(duration, TimeProvider.System);
        await timer.WaitForNextTickAsync(cancellationToken);
    }
}
