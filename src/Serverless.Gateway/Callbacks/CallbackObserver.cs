using Serverless.Gateway.Requests;
using Serverless.Requests;

namespace Serverless.Gateway.Callbacks;

/// <summary>Puts a callback into the outbox when what an id promised has ended and its result is kept, on whichever gateway that is seen: before the request's message is acknowledged. Thread-safe.</summary>
internal sealed class CallbackObserver(RequestRecords records, CallbackOutbox outbox, CallbackDelivery delivery, CallbackPolicy policy, TimeProvider time) : IEndObserver
{
    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        if (end.Request.Promise != Promise.Id || !policy.IsOn) return true;
        if (await records.FindAsync(end.Request.Owner, end.Request.Id, cancellationToken) is not { Record: { HasEnded: true, Callback.Status: CallbackStatus.Pending } }) return true;

        var now = time.GetUtcNow();
        await outbox.AddAsync(new DueCallback(end.Request.Id.Value, end.Request.Owner, now, now, 0), cancellationToken);
        delivery.Look(end.Request.Id.Value);
        return true;
    }
}
