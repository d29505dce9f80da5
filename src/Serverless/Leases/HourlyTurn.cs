using Serverless.Errors;
using Serverless.Loops;

namespace Serverless.Leases;

/// <summary>Work that one process of all does once an hour: whoever has its lease when the hour is over. It may be done by two at once, where one takes longer than its lease. Thread-safe.</summary>
public sealed class HourlyTurn(ILeases leases, TimeProvider time)
{
    /// <summary>From one turn to the next.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    /// <summary>Until cancelled. What fails because a store is away, which is told elsewhere, is done in the next hour.</summary>
    /// <param name="lease">Which work.</param>
    /// <param name="holder">This process.</param>
    /// <param name="work">Does it once.</param>
    /// <param name="stoppingToken">Ends it.</param>
    public async Task RunAsync(string lease, string holder, Func<CancellationToken, Task> work, CancellationToken stoppingToken)
    {
        ArgumentNullException.ThrowIfNull(work);
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (await leases.AcquireAsync(lease, holder, Interval * 1.5, stoppingToken) is not null) await work(stoppingToken);
            }
            catch (ServingException)
            {
                // In an hour again.
            }
        }
    }
}
