using Shouldly;

namespace Serverless;

/// <summary>
/// A test's clock, step by step: after each, whoever else has something to do does it. A clock that a test drives is faster than any thread: hours would pass before anybody looked, and ten seconds of somebody's
/// patience within one moment in which the machine held a thread up.
/// </summary>
internal static class PassingTime
{
    private const int Turns = 50;

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Limit = TimeSpan.FromHours(1);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(1);

    /// <summary>So many seconds pass.</summary>
    public static async Task PassAsync(this TestClock time, int seconds = 1)
    {
        for (; seconds > 0; seconds--) await time.StepAsync(Second);
    }

    /// <summary>So much time passes at once, once whoever was about to set a timer has set it.</summary>
    public static async Task PassAsync(this TestClock time, TimeSpan step)
    {
        await SettleAsync();
        await time.StepAsync(step);
    }

    /// <summary>Time passes until that is so: an hour at most, and as long as a test may wait for other threads, one of which may not have run for all of that hour.</summary>
    /// <param name="time">The clock.</param>
    /// <param name="isSo">What is waited for.</param>
    /// <param name="what">Its name.</param>
    /// <param name="step">Of the clock; a second unless given.</param>
    public static async Task PassUntilAsync(this TestClock time, Func<bool> isSo, string what, TimeSpan? step = null)
    {
        var began = TimeProvider.System.GetTimestamp();
        for (var passed = TimeSpan.Zero; !isSo(); passed += step ?? Second)
        {
            if (passed >= Limit) TimeProvider.System.GetElapsedTime(began).ShouldBeLessThan(TestTimeouts.Default, $"Within an hour it was not so: {what}");
            await time.StepAsync(step ?? Second);
        }
    }

    /// <summary>Time passes until that has ended, however it ended; the limits are those of <see cref="PassUntilAsync(TestClock, Func{bool}, string, TimeSpan?)"/>.</summary>
    public static Task PassUntilAsync(this TestClock time, Task ended, TimeSpan? step = null) => time.PassUntilAsync(() => ended.IsCompleted, "it has ended", step);

    /// <summary>Seconds pass until that has ended, so many at most: whoever has set its timer late still has as long as it takes to be heard.</summary>
    public static async Task MeanwhileAsync(this TestClock time, Task what, int within)
    {
        for (var second = 0; second < within && !await what.EndsWithinAsync(TestTimeouts.Turn); second++) await time.PassAsync();
        await what.WithinLimitAsync();
    }

    /// <summary>
    /// Lets what others have queued get its turns, and then waits until nothing of this process runs or waits for a thread: <see cref="TestTimeouts.Turn"/> at most, for other tests run beside this one.
    /// </summary>
    public static async Task SettleAsync()
    {
        for (var turn = 0; turn < Turns; turn++) await Task.Factory.StartNew(() => { }, CancellationToken.None, TaskCreationOptions.PreferFairness, TaskScheduler.Default);
        var began = TimeProvider.System.GetTimestamp();
        while (!OthersRest() && TimeProvider.System.GetElapsedTime(began) < TestTimeouts.Turn) await TestTimeouts.WaitAsync(Look);
    }

    private static async Task StepAsync(this TestClock time, TimeSpan step)
    {
        time.Advance(step);
        await SettleAsync();
    }

    private static bool OthersRest()
    {
        ThreadPool.GetMaxThreads(out var most, out _);
        ThreadPool.GetAvailableThreads(out var free, out _);
        return most - free <= (Thread.CurrentThread.IsThreadPoolThread ? 1 : 0) && ThreadPool.PendingWorkItemCount == 0;
    }
}
