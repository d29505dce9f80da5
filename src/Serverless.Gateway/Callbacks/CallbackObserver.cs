using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.Requests;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Callbacks;

/// <summary>Puts a callback into the outbox when what an id promised has ended and its result is kept, on whichever gateway that is seen: before the request's message is acknowledged. Thread-safe.</summary>
internal sealed partial class CallbackObserver(RequestRecords records, CallbackOutbox outbox, CallbackDelivery delivery, CallbackPolicy policy, TimeProvider time, ILogger<CallbackObserver> logger) : IEndObserver
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        if (end.Request.Promise != Promise.Id || !policy.IsOn) return true;

        var backoff = new Backoff(FirstPause, LongestPause);
        while (true)
        {
            var pause = backoff.Next();
            try
            {
                if (await records.FindAsync(end.Request.Owner, end.Request.Id, cancellationToken) is { Record: { HasEnded: true, Callback.Status: CallbackStatus.Pending } })
                {
                    var now = time.GetUtcNow();
                    await outbox.AddAsync(new DueCallback(end.Request.Id.Value, end.Request.Owner, now, now, 0), cancellationToken);
                    delivery.Look();
                }

                return true;
            }
            catch (ServingException exception)
            {
                LogRetried(end.Request.Id, pause.TotalSeconds, exception.Message);
            }

            await Task.Delay(pause, time, cancellationToken);
        }
    }

    [LoggerMessage(LogLevel.Warning, "The callback of {Request} could not be noted yet; it is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(RequestId request, double seconds, string reason);
}
