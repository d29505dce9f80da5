namespace Serverless;

/// <summary>One limit for every wait on a signal: missing evidence after a minute is a failure, whatever the machine.</summary>
internal static class TestTimeouts
{
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(60);

    /// <summary>Longest that a program may take to come up, on a machine that does ten other things.</summary>
    public static readonly TimeSpan Start = TimeSpan.FromMinutes(3);

    /// <summary>How long whoever is behind may take in a second of a test's clock that nobody answers.</summary>
    public static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(100);

    /// <summary>What the task gives, within the limit.</summary>
    public static Task<T> WithinLimitAsync<T>(this Task<T> task) => task.WaitAsync(Default, TimeProvider.System, TestContext.Current.CancellationToken);

    /// <summary>What the task gives, within the limit.</summary>
    public static Task<T> WithinLimitAsync<T>(this ValueTask<T> task) => task.AsTask().WithinLimitAsync();

    /// <summary>The end of the task, within the limit.</summary>
    public static Task WithinLimitAsync(this Task task) => task.WaitAsync(Default, TimeProvider.System, TestContext.Current.CancellationToken);

    /// <summary>Whether the task ends within a moment of real time.</summary>
    public static async Task<bool> EndsWithinAsync(this Task task, TimeSpan moment)
    {
        await task.WaitAsync(moment, TimeProvider.System, TestContext.Current.CancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return task.IsCompleted;
    }

    /// <summary>Waits a moment of real time for what is not to be awaited.</summary>
    public static Task WaitAsync(TimeSpan moment) => new TaskCompletionSource().Task.EndsWithinAsync(moment);
}
