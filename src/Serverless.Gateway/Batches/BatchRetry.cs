using Serverless.Errors;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>Does a step again and again while a store is away, with longer and longer pauses: a batch has a day.</summary>
internal static class BatchRetry
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    public static async Task<T> RunAsync<T>(TimeProvider time, Func<Task<T>> step, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        while (true)
        {
            try
            {
                return await step();
            }
            catch (ServingException exception) when (exception.Fault.Error == ServingError.StoreUnavailable)
            {
                await Task.Delay(backoff.Next(), time, cancellationToken);
            }
        }
    }

    public static Task RunAsync(TimeProvider time, Func<Task> step, CancellationToken cancellationToken) => RunAsync(
        time,
        async () =>
        {
            await step();
            return true;
        },
        cancellationToken);
}
