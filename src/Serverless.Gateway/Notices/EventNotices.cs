using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Requests;
using Serverless.Loops;

namespace Serverless.Gateway.Notices;

/// <summary>
/// Tells of what happened here on a topic of configuration. What is told can be asked for as well, so nothing waits for a topic that takes nothing: a notice is given up after some tries, or
/// some seconds. Thread-safe.
/// </summary>
internal sealed partial class EventNotices(IEventBus bus, NoticeMetrics metrics, TimeProvider time, ILogger<EventNotices> logger)
{
    public const int MostTries = 5;

    /// <summary>Of all tries together.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>The event of something that happened here.</summary>
    /// <param name="id">The same for the same.</param>
    /// <param name="type">What, after <c>dev.serverless.</c></param>
    /// <param name="subject">To which thing.</param>
    /// <param name="at">When.</param>
    /// <param name="data">JSON.</param>
    public static CloudEvent Event(string id, string type, string subject, DateTimeOffset at, byte[] data) =>
        new() { Id = id, Source = ResultEvents.Source, Type = "dev.serverless." + type, Subject = subject, Time = at, Data = data };

    /// <summary>Tells it, or gives it up: whether it is told. Throws only when it is to stop.</summary>
    public async Task<bool> TellAsync(string topic, CloudEvent notice, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        var backoff = new Backoff(FirstPause, LongestPause);
        for (var tries = 1; ; tries++)
        {
            try
            {
                await bus.PublishAsync(topic, notice, either.Token);
                metrics.Told(notice.Type, "published");
                return true;
            }
            catch (ServingException exception) when (exception.Fault.Error == ServingError.StoreUnavailable && tries < MostTries && !patience.IsCancellationRequested)
            {
                await Task.Delay(backoff.Next(), time, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                cancellationToken.ThrowIfCancellationRequested();
            }
            catch (Exception exception) when (exception is ServingException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                metrics.Told(notice.Type, "dropped");
                LogDropped(notice.Type, notice.Subject, topic, tries, exception.Message);
                return false;
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Type} of {Subject} is not told: topic {Topic} did not take it in {Tries} tries, or seconds. It can be asked for. {Reason}")]
    private partial void LogDropped(string type, string? subject, string topic, int tries, string reason);
}

/// <summary>What is counted of them.</summary>
internal sealed class NoticeMetrics(IMeterFactory meters)
{
    private readonly Counter<long> _told = meters.Create("Serverless.Notices").CreateCounter<long>("serverless.notices", "{event}", "Events of batches and pools, by what became of them.");

    public void Told(string type, string outcome) => _told.Add(1, new("type", type), new("outcome", outcome));
}
