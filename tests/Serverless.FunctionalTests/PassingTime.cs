using Shouldly;

namespace Serverless.FunctionalTests;

/// <summary>
/// A test's clock, second by second: before each, what others have queued gets its turns. A clock that a test drives is faster than any thread; without that, hours would pass before anybody looked.
/// </summary>
internal static class PassingTime
{
    private const int Turns = 50;
    private const int Limit = 3600;

    /// <summary>So many seconds pass.</summary>
    public static async Task PassAsync(this TestClock time, int seconds = 1)
    {
        for (; seconds > 0; seconds--)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            for (var turn = 0; turn < Turns; turn++) await Task.Factory.StartNew(() => { }, CancellationToken.None, TaskCreationOptions.PreferFairness, TaskScheduler.Default);
        }
    }

    /// <summary>Time passes until that is so: an hour at most, and as long as a test may wait for other threads, one of which may not have run for all of that hour.</summary>
    public static async Task PassUntilAsync(this TestClock time, Func<bool> isSo, string what)
    {
        var began = TimeProvider.System.GetTimestamp();
        for (var second = 0; !isSo(); second++)
        {
            if (second >= Limit) TimeProvider.System.GetElapsedTime(began).ShouldBeLessThan(TestTimeouts.Default, $"Within an hour it was not so: {what}");
            await time.PassAsync();
        }
    }

    /// <summary>Seconds pass until that has ended, so many at most: whoever has set its timer late still has as long as it takes to be heard.</summary>
    public static async Task MeanwhileAsync(this TestClock time, Task what, int within)
    {
        for (var second = 0; second < within && !await what.EndsWithinAsync(TestTimeouts.Turn); second++) await time.PassAsync();
        await what.WithinLimitAsync();
    }
}
