using Serverless.Errors;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// The order of an end: the terminal event, then what an id promised, then the message's acknowledgement. Each step can be repeated: what is cut off between two of them
/// comes back with the message, is found ended, and goes on from there. Off the loop; stopped with it.
/// </summary>
internal sealed class RequestEnder(RequestTable table, DispatchPorts ports, LoopCalls calls)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>Its log has ended, or there is none and its holder submits it again.</summary>
    public void Complete(TrackedRequest request, int outputTokens)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, outputTokens);
        if (delivery.Request.Promise == Promise.Id) calls.Run(cancellationToken => KeepAsync(delivery, cancellationToken));
        else Acknowledge(delivery);
    }

    /// <summary>It had ended when it was delivered again: whoever ended it may have been lost before its message was answered, and it is answered as that one would have.</summary>
    public void CompleteAgain(TrackedRequest request, int attempts)
    {
        var delivery = request.Entry.Delivery;
        table.Forget(request, 0);
        calls.Run(async cancellationToken =>
        {
            ServingFault? givenUp = null;
            await RetryAsync(delivery.Request, async () => givenUp = await ReadGivenUpAsync(delivery.Request.Id, cancellationToken), cancellationToken);
            if (!await IsKeptAsync(delivery, cancellationToken)) return;
            await RetryAsync(
                delivery.Request,
                () => givenUp is { } fault ? delivery.DeadLetterAsync(fault, attempts, cancellationToken).AsTask() : delivery.CompleteAsync(cancellationToken).AsTask(),
                cancellationToken);
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
            if (await IsKeptAsync(delivery, cancellationToken)) await RetryAsync(delivery.Request, () => delivery.DeadLetterAsync(fault, attempts, cancellationToken).AsTask(), cancellationToken);
        });
    }

    /// <summary>Why it was given up (<see cref="Fail"/>); null: it ended in another way, or its events are gone.</summary>
    private async Task<ServingFault?> ReadGivenUpAsync(RequestId id, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var logged in ports.Log.FollowAsync(id, 0, cancellationToken))
            {
                if (logged.Event is RequestEvent.Failed { Fault: { Error: ServingError.Poisoned } fault }) return fault;
            }
        }
        catch (ServingException exception) when (exception.Fault.Error == ServingError.LogExpired)
        {
            // What there was to say of it has been said long ago.
        }

        return null;
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
            await KeepAsync(delivery, cancellationToken);
        });
    }

    private async Task KeepAsync(IRequestDelivery delivery, CancellationToken cancellationToken)
    {
        if (await IsKeptAsync(delivery, cancellationToken)) await RetryAsync(delivery.Request, () => delivery.CompleteAsync(cancellationToken).AsTask(), cancellationToken);
    }

    /// <summary>False: its end was lost with the store, so its message goes back and it runs again.</summary>
    private async ValueTask<bool> IsKeptAsync(IRequestDelivery delivery, CancellationToken cancellationToken)
    {
        var isKept = true;
        if (delivery.Request.Promise == Promise.Id) await RetryAsync(delivery.Request, async () => isKept = await ports.Promises.KeepAsync(delivery.Request, cancellationToken), cancellationToken);
        if (!isKept) await RetryAsync(delivery.Request, () => delivery.ReturnAsync(cancellationToken).AsTask(), cancellationToken);
        return isKept;
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
