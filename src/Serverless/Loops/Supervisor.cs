using System.Collections.Concurrent;

namespace Serverless.Loops;

/// <summary>
/// Runs the loops of this process: a body that fails, whatever it throws, is told to the observer and run again after a jittered pause. A body must therefore be able to begin
/// anew; what it holds (leases, connections) it gives back on its way out. Thread-safe.
/// </summary>
public sealed class Supervisor(TimeProvider time, ILoopObserver observer)
{
    /// <summary>Pauses are at first no longer than this.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    /// <summary>Pauses are never longer than this.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Healthy = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<long, LoopState> _loops = new();
    private long _last;

    /// <summary>Who hears of what fails inside a loop that goes on by itself.</summary>
    public ILoopObserver Observer => observer;

    /// <summary>The loops that run or wait to be run again, in no order.</summary>
    public IReadOnlyCollection<LoopState> Loops => [.. _loops.Values];

    /// <summary>Runs a body until it returns or is stopped. Never throws.</summary>
    /// <param name="name">What the loop does, of a closed set: it becomes a metric's label.</param>
    /// <param name="body">Returns when its work is over, or throws.</param>
    /// <param name="stoppingToken">Ends it.</param>
    /// <param name="subject">What it works for, such as a model.</param>
    public async Task RunAsync(string name, Func<CancellationToken, Task> body, CancellationToken stoppingToken, string subject = "")
    {
        ArgumentNullException.ThrowIfNull(body);
        var key = Interlocked.Increment(ref _last);
        var state = _loops[key] = new LoopState(name, subject, 0, 0, Paused: false);
        var backoff = new Backoff(FirstPause, LongestPause);
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                var begun = time.GetTimestamp();
                try
                {
                    await body(stoppingToken);
                    return;
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    return;
                }
                catch (Exception exception)
                {
                    if (time.GetElapsedTime(begun) >= Healthy) backoff.Reset();
                    var pause = backoff.Next();
                    state = _loops[key] = state with { Failures = state.Failures + 1, InARow = backoff.Failures, Paused = true };
                    observer.Failed(name, subject, exception, pause);
                    await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    state = _loops[key] = state with { Paused = false };
                }
            }
        }
        finally
        {
            _loops.TryRemove(key, out _);
        }
    }

    /// <summary>Runs a body that cannot begin anew: when it throws, or returns before it is stopped, the process has to stop. Never throws.</summary>
    public async Task RunOnceAsync(string name, Func<CancellationToken, Task> body, CancellationToken stoppingToken, string subject = "")
    {
        ArgumentNullException.ThrowIfNull(body);
        try
        {
            await body(stoppingToken);
            if (!stoppingToken.IsCancellationRequested) observer.Failed(name, subject, new InvalidOperationException($"Loop '{name}' ended unasked."), null);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
        catch (Exception exception)
        {
            observer.Failed(name, subject, exception, null);
        }
    }
}

/// <summary>A loop of this process, as it is now.</summary>
/// <param name="Name">What it does, of a closed set.</param>
/// <param name="Subject">What it works for; empty: there is one of its kind.</param>
/// <param name="Failures">How often its body has failed.</param>
/// <param name="InARow">How often since it last ran for a minute.</param>
/// <param name="Paused">Whether it has failed and waits to be run again.</param>
public sealed record LoopState(string Name, string Subject, long Failures, int InARow, bool Paused)
{
    /// <summary>It fails whenever it is run: what it does is not done.</summary>
    public bool IsFailing => InARow >= 3;
}
