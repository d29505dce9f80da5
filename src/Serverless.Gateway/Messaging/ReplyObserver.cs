using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Hosting.MassTransit;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>
/// Tells those who asked by message of the end, on whichever gateway that is seen, once its result is kept. At least once: the request's own message is acknowledged after it. Thread-safe.
/// </summary>
internal sealed partial class ReplyObserver(MessageRecords records, MessageReplies replies, IMessageSender sender, TimeProvider time, ILogger<ReplyObserver> logger) : IEndObserver
{
    /// <summary>What the bus does not take so often, five minutes about, is refused by it rather than held up.</summary>
    private const int MostTries = 16;

    /// <summary>So often it is said where nothing hears, a quarter of a minute about: a receiver whose broker was away makes its queue known again by then, one that is gone does not.</summary>
    public const int MostUnheard = 7;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        if (end.Request is not { Promise: Promise.Id, Owner.Key: MessageRecords.Key }) return true;

        var (backoff, tries) = (new Backoff(FirstPause, LongestPause), 0);
        while (await records.FindAsync(end.Request.Id, cancellationToken) is { Record: { HasEnded: true, Origin.Message: { } message } } stored)
        {
            if (message.Replies.FirstOrDefault(reply => !reply.Sent) is not { } next) return true;

            var pause = backoff.Next();
            try
            {
                if (!await replies.EndAsync(stored.Record, next, cancellationToken))
                {
                    if (++tries < MostUnheard)
                    {
                        await Task.Delay(pause, time, cancellationToken);
                        continue;
                    }

                    LogUnheard(end.Request.Id, tries);
                }

                tries = 0;
            }
            catch (ServingException exception) when (sender.IsConnected && ++tries >= MostTries)
            {
                LogUntold(end.Request.Id, tries, exception.Message);
            }
            catch (ServingException exception)
            {
                LogRetried(end.Request.Id, pause.TotalSeconds, exception.Message);
                await Task.Delay(pause, time, cancellationToken);
                continue;
            }

            backoff.Reset();
            await records.ToldAsync(stored, next, cancellationToken); // false: it is read again, and what is new in it counts
        }

        return true;
    }

    [LoggerMessage(LogLevel.Warning, "Who asked for {Request} could not be told of its end yet; it is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(RequestId request, double seconds, string reason);

    [LoggerMessage(LogLevel.Information, "Who asked for {Request} is gone: {Times} times no queue was there to take its end. The result is kept and can be asked for by its id.")]
    private partial void LogUnheard(RequestId request, int times);

    [LoggerMessage(LogLevel.Error, "Who asked for {Request} is not told of its end: the bus refused {Times} times to take it for the address that was given. The result is kept and can be asked for by its id. {Reason}")]
    private partial void LogUntold(RequestId request, int times, string reason);
}
