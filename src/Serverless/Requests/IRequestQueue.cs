using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>
/// Port: work goes down through here. Per model a transient queue (promised by a connection) and a durable one (promised by an id: on disk before
/// <see cref="EnqueueAsync"/> returns). Bounded in requests, tokens and bytes at enqueue, so a consumer may hold all of it. At least once.
/// </summary>
/// <remarks>
/// A broker that cannot be reached: <see cref="EnqueueAsync"/> answers <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time; <see cref="ConsumeAsync"/> waits for it and
/// goes on, delivering anew what was unanswered; answering a delivery of a lost connection does nothing, for it is delivered again.
/// </remarks>
public interface IRequestQueue
{
    /// <summary>Puts a request in the queue of its model. Enqueuing an id that is there replaces nothing and succeeds; one that is there as promised by a connection and comes again as promised by an id is delivered again.</summary>
    ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken);

    /// <summary>Deliveries of a model, both queues, until cancelled. One consumer per model; what a cancelled one left unanswered is delivered again.</summary>
    IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken);

    /// <summary>
    /// Models that may have something to deliver, until cancelled: each with something that waits when this begins, each to which something is enqueued (a hint may be left out while
    /// somebody consumes it), and each of which something is left when a consumer ends. So a model without work needs no consumer. A model may be named for nothing, and twice; a hint
    /// lost on its way is made good by looking, in rounds that begin every ten seconds. Every reader is told of every model.
    /// </summary>
    IAsyncEnumerable<ModelName> WatchArrivalsAsync(CancellationToken cancellationToken);

    /// <summary>What the queue holds of a model.</summary>
    ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken);

    /// <summary>Whether it takes what is enqueued, and since when: for readiness, and for what clients that wait are told. Costs nothing. Default: one in this process always does.</summary>
    QueueStatus Status => QueueStatus.Here;
}

/// <summary>Whether a request queue is to be had.</summary>
/// <param name="IsReachable">Whether an enqueue is worth trying.</param>
/// <param name="Since">Since when that is so.</param>
/// <param name="Reason">Why not; empty where it is.</param>
public sealed record QueueStatus(bool IsReachable, DateTimeOffset Since, string Reason)
{
    /// <summary>Of a queue in this process.</summary>
    public static QueueStatus Here { get; } = new(true, DateTimeOffset.MinValue, "");
}
