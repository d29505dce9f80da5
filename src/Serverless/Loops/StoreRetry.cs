using Serverless.Errors;

namespace Serverless.Loops;

/// <summary>Does a step again while a store is away, with longer and longer pauses. Any other fault is the caller's.</summary>
public static class StoreRetry
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <param name="time">The clock of the pauses.</param>
    /// <param name="step">May be repeated.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="mostTries">So often; then the fault is the caller's. By itself it is tried until it is cancelled.</param>
    /// <param name="backoff">The pauses; null: from half a second to half a minute.</param>
    public static async Task<T> RunAsync<T>(TimeProvider time, Func<Task<T>> step, CancellationToken cancellationToken, int mostTries = int.MaxValue, Backoff? backoff = null)
    {
        ArgumentNullException.ThrowIfNull(step);
        backoff ??= new Backoff(FirstPause, LongestPause);
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await step();
            }
            catch (ServingException exception) when (exception.Fault.Error == ServingError.StoreUnavailable && tries < mostTries)
            {
                await Task.Delay(backoff.Next(), time, cancellationToken);
            }
        }
    }

    /// <inheritdoc cref="RunAsync{T}"/>
    public static Task RunAsync(TimeProvider time, Func<Task> step, CancellationToken cancellationToken, int mostTries = int.MaxValue, Backoff? backoff = null) => RunAsync(
        time,
        async () =>
        {
            await step();
            return true;
        },
        cancellationToken,
        mostTries,
        backoff);
}
