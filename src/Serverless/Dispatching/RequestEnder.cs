using Serverless.Errors;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// The order of an end: the terminal event, then those who are told of it (what an id promised is kept there), then the message's acknowledgement. Each step can be repeated: what is cut off between two of them
/// comes back with the message, is found ended, and goes on from there. Off the loop; stopped with it.
/// </summary>
internal sealed class RequestEnder(RequestTable table, DispatchPorts ports, LoopCalls calls)
{
    private static readonly TokenUsage Nothing = new(0, 0);

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly IEndObserver[] _observers = [.. ports.EndObservers];

    /// <summary>It has ended.</summary>
    public void Complete(TrackedRequest request, RequestOutcome outcome, TokenUsage usage)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, usage.CompletionTokens);
        calls.Run(cancellationToken => CompleteAsync(delivery, outcome, usage, cancellationToken));
    }

    /// <summary>It ended while nothing of it ran.</summary>
    public void Complete(TrackedRequest request) => Complete(request, request.StoppedAs, Nothing);

    /// <summary>The log knows nothing of it: whoever holds it submits it again.</summary>
    public void Drop(TrackedRequest request)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, 0);
        Acknowledge(delivery);
    }

    /// <summary>
    /// The log has its end, which was not written here: whoever ended it may have been lost before its message was answered, or have been its gateway. It is answered as the log says;
    /// one whose end is not kept any more was told of long ago, unless an id promised it.
    /// </summary>
    public void CompleteEnded(TrackedRequest request)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, 0);
        calls.Run(async cancellationToken =>
        {
            RequestEvent? end = null;
            await RetryAsync(delivery.Request, async () => end = await ReadEndAsync(delivery.Request.Id, cancellationToken), cancellationToken);
            if (end is null && delivery.Request.Promise != Promise.Id)
            {
                await RetryAsync(delivery.Request, () => delivery.CompleteAsync(cancellationToken).AsTask(), cancellationToken);
                return;
            }

            var (outcome, usage) = end switch
            {
                RequestEvent.Finished finished => (RequestOutcome.Finished, finished.Usage),
                RequestEvent.Failed failed => (RequestOutcome.Failed, failed.Usage ?? Nothing),
                RequestEvent.Cancelled cancelled => (RequestOutcome.Cancelled, cancelled.Usage ?? Nothing),
                _ => (RequestOutcome.Failed, Nothing), // nothing is kept of it
            };
            if (delivery.Redelivered && end is RequestEvent.Failed { Fault: { Error: ServingError.Poisoned } fault }) // another message of it is its dead letter already
            {
                var attempts = 0;
                await RetryAsync(delivery.Request, async () => attempts = (await ports.Log.ReadHeadAsync(delivery.Request.Id, cancellationToken))?.Attempts ?? 0, cancellationToken);
                await BuryAsync(delivery, fault, attempts, cancellationToken);
                return;
            }

            await CompleteAsync(delivery, outcome, usage, cancellationToken);
        });
    }

    /// <summary>A delivery of a request that another delivery stands for.</summary>
    public void Acknowledge(IRequestDelivery delivery) => calls.Run(cancellationToken => RetryAsync(delivery.Request, () => delivery.CompleteAsync(cancellationToken).AsTask(), cancellationToken));

    /// <summary>Ends one that no replica can ever hold: a fault of whoever asked, not of ours, so that it is no dead letter.</summary>
    public void Reject(TrackedRequest request, ServingFault fault) => End(request, fault, () => { });

    /// <summary>Ends it with a fault after that many attempts, and puts it to the dead letters.</summary>
    public void Fail(TrackedRequest request, ServingFault fault, int attempts)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, 0);
        calls.Run(async cancellationToken =>
        {
            // The end first, the dead letter after it: what is lost between the two is done again, never forgotten.
            await RetryAsync(delivery.Request, async () => await ports.Log.EndAsync(delivery.Request.Id, new RequestEvent.Failed(fault), cancellationToken), cancellationToken);
            await BuryAsync(delivery, fault, attempts, cancellationToken);
        });
    }

    /// <summary>Its last event; null: its events are gone.</summary>
    private async Task<RequestEvent?> ReadEndAsync(RequestId id, CancellationToken cancellationToken)
    {
        RequestEvent? last = null;
        try
        {
            await foreach (var logged in ports.Log.FollowAsync(id, 0, cancellationToken)) last = logged.Event;
        }
        catch (ServingException exception) when (exception.Fault.Error == ServingError.LogExpired)
        {
        }

        return last;
    }

    /// <summary>Ends a waiting one that could not end in time.</summary>
    public void GiveUp(TrackedRequest request, ServingFault fault) => End(request, fault, () => ports.Observer.Expired(request.Request));

    private void End(TrackedRequest request, ServingFault fault, Action ended)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, 0);
        calls.Run(async cancellationToken =>
        {
            await RetryAsync(
                delivery.Request,
                async () =>
                {
                    if (await ports.Log.EndAsync(delivery.Request.Id, new RequestEvent.Failed(fault), cancellationToken)) ended();
                },
                cancellationToken);
            await CompleteAsync(delivery, RequestOutcome.Failed, Nothing, cancellationToken);
        });
    }

    private async Task CompleteAsync(IRequestDelivery delivery, RequestOutcome outcome, TokenUsage usage, CancellationToken cancellationToken)
    {
        if (await IsKeptAsync(delivery, new RequestEnd(delivery.Request, outcome, usage), cancellationToken))
            await RetryAsync(delivery.Request, () => delivery.CompleteAsync(cancellationToken).AsTask(), cancellationToken);
    }

    private async Task BuryAsync(IRequestDelivery delivery, ServingFault fault, int attempts, CancellationToken cancellationToken)
    {
        if (await IsKeptAsync(delivery, new RequestEnd(delivery.Request, RequestOutcome.Failed, Nothing), cancellationToken))
            await RetryAsync(delivery.Request, () => delivery.DeadLetterAsync(fault, attempts, cancellationToken).AsTask(), cancellationToken);
    }

    /// <summary>Tells all who are to be told. False: what one must keep was lost with the store, so the message goes back and the request runs again.</summary>
    private async ValueTask<bool> IsKeptAsync(IRequestDelivery delivery, RequestEnd end, CancellationToken cancellationToken)
    {
        foreach (var observer in _observers)
        {
            var isKept = true;
            await RetryAsync(delivery.Request, async () => isKept = await observer.EndedAsync(end, cancellationToken), cancellationToken);
            if (isKept) continue;

            await RetryAsync(delivery.Request, () => delivery.ReturnAsync(cancellationToken).AsTask(), cancellationToken);
            return false;
        }

        return true;
    }

    private async Task RetryAsync(InferenceRequest request, Func<Task> step, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        while (true)
        {
            try
            {
                await step();
                return;
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                var pause = backoff.Next();
                ports.Observer.EndDelayed(request, exception, pause);
                await Task.Delay(pause, ports.Time, cancellationToken);
            }
        }
    }
}
