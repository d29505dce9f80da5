namespace Serverless.EndToEndTests.Chaos;

/// <summary>Real time that passes: a fault lasts, a client thinks. What a test waits <i>for</i> is a signal; this is what happens to real processes meanwhile.</summary>
internal static class RealTime
{
    /// <summary>A timer's.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);

    /// <exception cref="OperationCanceledException">Cancelled before it was over.</exception>
    public static async Task PassAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        if (duration < Shortest) return;

        using var timer = new PeriodicTimer(duration, TimeProvider.System);
        await timer.WaitForNextTickAsync(cancellationToken);
    }
}
