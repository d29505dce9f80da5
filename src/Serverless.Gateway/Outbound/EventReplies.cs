using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Requests;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Outbound;

/// <summary>
/// Tells the end of a request on the topic that its event named, once its result is kept and was seen on the topic of all results. At least once, under one id; a topic that takes nothing is given
/// up after some minutes, for nothing is lost: the result is kept, and was told on the other. Thread-safe.
/// </summary>
internal sealed partial class EventReplies(RequestRecords records, IEventBus bus, TimeProvider time, ILogger<EventReplies> logger) : IEndObserver
{
    /// <summary>So often a topic is tried, two minutes about: the bus took the same result on another just before.</summary>
    public const int MostTries = 16;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        if (end.Request is not { Promise: Promise.Id, Owner.Key: EventOrigin.Key }) return true;

        var isTold = false;
        while (await records.FindAsync(end.Request.Owner, end.Request.Id, cancellationToken) is { Record: { HasEnded: true, Origin: { ReplyTo: { } topic, Replied: false } origin } record } stored)
        {
            if (!isTold) await TellAsync(topic, record, cancellationToken);
            isTold = true;
            await records.ReplaceAsync(stored, record with { Origin = origin with { Replied = true } }, cancellationToken); // false: somebody else wrote meanwhile, and it is read again
        }

        return true;
    }

    private async Task TellAsync(string topic, RequestRecord record, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        var isWhole = true;
        for (var tries = 1; ; tries++)
        {
            var pause = backoff.Next();
            try
            {
                await PublishAsync(topic, record, isWhole, cancellationToken);
                return;
            }
            catch (ServingException exception) when (isWhole && exception.Fault.Error == ServingError.OutputTooLarge)
            {
                isWhole = false; // it can be asked for
            }
            catch (ServingException exception) when (tries >= MostTries)
            {
                LogGivenUp(record.Id, topic, tries, exception.Message);
                return;
            }
            catch (ServingException exception)
            {
                LogRetried(record.Id, topic, pause.TotalSeconds, exception.Message);
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    /// <summary>Once.</summary>
    /// <exception cref="ServingException">The bus did not take it.</exception>
    public ValueTask PublishAsync(string topic, RequestRecord record, bool withResponse, CancellationToken cancellationToken) =>
        bus.PublishAsync(topic, ResultEvents.EventOf(record, RequestObject.Encode(withResponse ? record : record with { Response = null })), cancellationToken);

    [LoggerMessage(LogLevel.Warning, "The end of {Request} could not be told on topic {Topic} yet; it is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(string request, string topic, double seconds, string reason);

    [LoggerMessage(LogLevel.Error, "The end of {Request} is not told on topic {Topic}, which the bus did not take {Times} times. It was told on the topic of all results, and can be asked for by its id. {Reason}")]
    private partial void LogGivenUp(string request, string topic, int times, string reason);
}
