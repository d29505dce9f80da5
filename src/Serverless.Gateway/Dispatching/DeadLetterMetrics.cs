using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Dispatching;

/// <summary>How many dead letters there are, as last counted.</summary>
internal sealed class DeadLetterMetrics
{
    private long _count = -1;

    public DeadLetterMetrics(IMeterFactory meters) => meters.Create(DispatchMetrics.MeterName).CreateObservableGauge(
        "serverless.dead_letters",
        () => Interlocked.Read(ref _count) is >= 0 and var count ? [new Measurement<long>(count)] : Array.Empty<Measurement<long>>(),
        "{letter}",
        "Requests and messages that were given up and wait for an operator, on the gateway that dispatches the first model; on the others 0 or nothing.");

    /// <summary>So many are there.</summary>
    public void Counted(long count) => Interlocked.Exchange(ref _count, count);

    /// <summary>Another gateway counts from now on.</summary>
    public void Handed() => Interlocked.CompareExchange(ref _count, 0, Math.Max(0, Interlocked.Read(ref _count)));
}

/// <summary>Counts the dead letters now and then. They are everybody's; the gateway that dispatches the catalogue's first model counts them, so that a sum over gateways is right.</summary>
internal sealed class DeadLetterWatch(IDeadLetters letters, DispatcherSet dispatchers, ICatalogSource catalog, DeadLetterMetrics metrics, Supervisor supervisor, TimeProvider time) : BackgroundService
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => supervisor.RunAsync("dead-letters", CountAsync, stoppingToken);

    private async Task CountAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        do
        {
            if (catalog.Current.Models is not [var first, ..] || !dispatchers.Dispatches(first.Name))
            {
                metrics.Handed();
                continue;
            }

            try
            {
                metrics.Counted(await letters.CountAsync(stoppingToken));
            }
            catch (ServingException)
            {
                // The store is away, which is told elsewhere; the last count stays.
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
