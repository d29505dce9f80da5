using Microsoft.Extensions.Logging;
using Serverless.Events;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

/// <summary>
/// Ends of promised requests as events: type <c>dev.serverless.request.{completed|failed|cancelled}</c>, id and subject the request's id, data the request object. Thread-safe.
/// </summary>
internal sealed partial class ResultEvents(IEventBus bus, RequestRecords records, TimeProvider time, ILogger<ResultEvents> logger)
{
    /// <summary>Of all of them; an event of another source is somebody else's.</summary>
    public const string Source = "/serverless/gateway";

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Publishes a saved record's end and waits until it has come back (<see cref="ResultEcho"/>): the bus may say that it has an event which it has not.
    /// False: it did not come back in a few seconds and is to be published again; a result may so come twice, under the same id.
    /// </summary>
    public async Task<bool> PublishAsync(RequestRecord record, CancellationToken cancellationToken)
    {
        await bus.PublishAsync(
            EventTopics.Results,
            new CloudEvent
            {
                Id = record.Id,
                Source = Source,
                Type = "dev.serverless.request." + RequestObject.Word(record.Status),
                Subject = record.Id,
                Time = record.EndedAt ?? time.GetUtcNow(),
                TraceParent = record.Origin?.TraceParent,
                Data = RequestObject.Encode(record),
            },
            cancellationToken);
        for (var pause = FirstPause; pause < LongestPause; pause *= 2)
        {
            await Task.Delay(pause, time, cancellationToken);
            if (await records.FindAsync(record.Owner, new RequestId(record.Id), cancellationToken) is not { Record.Published: false }) return true;
        }

        LogUnseen(record.Id, EventTopics.Results);
        return false;
    }

    [LoggerMessage(LogLevel.Warning, "The result of {Request} was published but has not come back on topic {Topic}, so it may be lost and is published again. If this goes on, the gateway has no subscription to that topic.")]
    private partial void LogUnseen(string request, string topic);
}
