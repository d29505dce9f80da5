using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Hosting.RabbitMq.DeadLetters;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// The queue of the distributed shape. What an id promises is on the disks of most of the broker's cluster before an enqueue returns; what a connection promises is in the
/// broker's memory, until its deadline. Thread-safe.
/// </summary>
/// <remarks>
/// <code>
///  EnqueueAsync ─▶ bounds ─▶ arrivals ─▶ publish, mandatory ─▶ confirm      serverless.transient.{model}  classic
///  (b)                                                                      serverless.durable.{model}    quorum
///  ConsumeAsync ◀─ envelope ◀─ subscription, within the budget of bytes ◀─  ┘
///  (c)               ├─ of a later release ─▶ back, after a pause
///                    └─ no request ─▶ serverless.dead-letters, confirmed ─▶ acknowledge
/// </code>
/// </remarks>
internal sealed partial class RabbitMqRequestQueue(
    RabbitMqLink link, RabbitMqPublisher publisher, DeadLetterQueue letters, EnqueueBounds bounds, Arrivals arrivals, OutstandingBytes budget, TimeProvider time,
    ILogger<RabbitMqRequestQueue> logger)
    : IRequestQueue
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(10);

    /// <summary>A message of a later release is handed to nobody else while its consumer is here; it is offered again so often.</summary>
    private static readonly TimeSpan LaterPause = TimeSpan.FromSeconds(30);

    /// <summary>A connection is given up for a lost queue no more often: all that is on it suffers.</summary>
    private static readonly TimeSpan AbandonPause = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<ModelName, OutstandingDeliveries> _outstanding = new();
    private long _abandonedAt;

    /// <inheritdoc/>
    public QueueStatus Status => link.Status;

    /// <inheritdoc/>
    public async ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        // (b) Enqueue: ours until the broker has confirmed it; then the broker's, until a consumer answers for it.
        ArgumentNullException.ThrowIfNull(request);
        if (bounds.Admit(request) is { } full) return new EnqueueResult(full);

        var isEnqueued = false;
        try
        {
            var fault = await PublishAsync(request, cancellationToken);
            isEnqueued = fault is null;
            return new EnqueueResult(fault);
        }
        finally
        {
            if (!isEnqueued) bounds.Forget(request);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Never full: the subscription bounds what may be outstanding.
        var inbox = Channel.CreateBounded<RabbitMqMessage>(new BoundedChannelOptions(int.MaxValue) { SingleReader = true });
        var outstanding = _outstanding.GetOrAdd(model, _ => new OutstandingDeliveries());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var subscribing = SubscribeAsync(model, outstanding, inbox.Writer, stop.Token);
        var leaving = new List<Task>();
        try
        {
            await foreach (var message in inbox.Reader.ReadAllAsync(cancellationToken))
            {
                if (!message.IsOpen) continue;
                if (Take(message, outstanding, out var left) is { } delivery) yield return delivery;
                if (left is null) continue;
                leaving.RemoveAll(task => task.IsCompleted);
                leaving.Add(left);
            }
        }
        finally
        {
            await stop.CancelAsync();
            inbox.Writer.TryComplete();
            var hasUnanswered = await subscribing;
            await Task.WhenAll(leaving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            outstanding.Clear();
            await arrivals.ConfirmLeftAsync(model, hasUnanswered);
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ModelName> WatchArrivalsAsync(CancellationToken cancellationToken) => arrivals.WatchAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(link.Options.PublishTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var session = await link.SessionAsync(either.Token);
            var ready = 0L;
            foreach (var queue in new[] { link.Topology.Transient(model), link.Topology.Durable(model) }) ready += await ReadyAsync(session, queue, either.Token);
            return Add(ready, await ReadyAsync(session, link.Topology.DeadLetters, either.Token), model);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            throw new ServingException(BrokerFaults.Unavailable(exception.Message), exception);
        }
    }

    private static async Task<long> ReadyAsync(BrokerSession session, string queue, CancellationToken cancellationToken) => (await session.InspectAsync(queue, cancellationToken))?.MessageCount ?? 0;

    private async ValueTask<ServingFault?> PublishAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        using var message = Envelope.Wrap(request, link.Options.EnvelopeVersion, link.Options.MaxMessageBytes, time.GetUtcNow(), out var refused);
        if (message is null) return refused;

        var queue = request.Promise == Promise.Id ? link.Topology.Durable(request.Model) : link.Topology.Transient(request.Model);
        var isConsumedHere = _outstanding.TryGetValue(request.Model, out var outstanding) && outstanding.IsConsuming;
        Func<CancellationToken, ValueTask>? announce = isConsumedHere ? null : token => arrivals.AnnounceAsync(request.Model, queue, token);
        var fault = await publisher.TryPublishAsync(queue, message.Properties, message.Body, announce, cancellationToken);
        if (fault is null && !(isConsumedHere && outstanding!.IsConsuming)) arrivals.Confirm(request.Model);
        return fault;
    }

    /// <summary>The broker counts what it has not handed out; what it has, its consumer knows: this process, or whoever publishes the model's demand.</summary>
    private QueueDepth Add(long ready, long dead, ModelName model)
    {
        if (_outstanding.TryGetValue(model, out var outstanding) && outstanding.IsConsuming)
        {
            var load = outstanding.Load;
            return new QueueDepth(ready + load.Requests, load.Tokens, load.Bytes, dead);
        }

        var latest = bounds.Latest(model);
        var tokens = latest is null ? 0 : latest.PendingPromptTokens + latest.PendingOutputTokens + latest.RunningTokens;
        return new QueueDepth(ready + (latest?.PendingRequests ?? 0) + (latest?.RunningRequests ?? 0), tokens, latest?.PendingBytes ?? 0, dead);
    }

    /// <summary>Keeps a subscription, on whichever connection there is, until stopped. Whether the last one leaves something unanswered.</summary>
    private async Task<bool> SubscribeAsync(ModelName model, OutstandingDeliveries outstanding, ChannelWriter<RabbitMqMessage> into, CancellationToken stoppingToken)
    {
        var hasUnanswered = false;
        try
        {
            while (!stoppingToken.IsCancellationRequested && !link.IsClosed) hasUnanswered = await SubscribeOnceAsync(model, outstanding, into, stoppingToken);
        }
        catch (Exception exception)
        {
            into.TryComplete(exception);
        }
        finally
        {
            into.TryComplete();
        }

        return hasUnanswered;
    }

    private async Task<bool> SubscribeOnceAsync(ModelName model, OutstandingDeliveries outstanding, ChannelWriter<RabbitMqMessage> into, CancellationToken stoppingToken)
    {
        BrokerSession? session = null;
        RabbitMqSubscription? subscription = null;
        var (hasUnanswered, hasFailed) = (false, false);
        try
        {
            session = await link.SessionAsync(stoppingToken);
            string[] queues = [link.Topology.Transient(model), link.Topology.Durable(model)];
            await AskedForAsync(model, session, stoppingToken);
            outstanding.IsConsuming = true; // before the first delivery can come
            subscription = await RabbitMqSubscription.OpenAsync(session, queues, budget, into, stoppingToken);
            await WatchAsync(session, subscription, stoppingToken);
            if (!session.Ended.IsCompleted) Abandon(session, $"it has lost a queue or consumer of '{model}'");
        }
        catch (Exception exception) when (BrokerFaults.IsOutage(exception))
        {
            // The loss of the connection is told by the link, once for all models.
            if (!stoppingToken.IsCancellationRequested && session is { Ended.IsCompleted: false }) LogNotConsuming(model, exception.Message, RetryPause.TotalSeconds);
            if (link.Options.Declare && session is not null && BrokerFaults.IsNoQueue(exception)) Abandon(session, $"it has lost a queue of '{model}'"); // declared on this connection once, and not again
            hasFailed = true;
        }
        finally
        {
            if (subscription is not null)
            {
                hasUnanswered = subscription.HasUnanswered;
                await subscription.DisposeAsync();
                hasUnanswered |= subscription.HasUnanswered;
            }

            outstanding.IsConsuming = false;
            outstanding.Clear(); // what that subscription delivered comes again
        }

        if (hasFailed) await Task.Delay(RetryPause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return hasUnanswered;
    }

    private void Abandon(BrokerSession session, string reason)
    {
        var (now, last) = (time.GetTimestamp(), Interlocked.Read(ref _abandonedAt));
        if ((last == 0 || time.GetElapsedTime(last, now) >= AbandonPause) && Interlocked.CompareExchange(ref _abandonedAt, now, last) == last) session.Abandon(reason);
    }

    /// <summary>Returns when the model was asked for, ever, or is found to be (<see cref="Arrivals"/> looks): one that nobody asked for has no queue, and needs none to be consumed.</summary>
    private async Task AskedForAsync(ModelName model, BrokerSession session, CancellationToken stoppingToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, session.Lost);
        var named = arrivals.NamedAsync(model); // before looking: it may be named meanwhile
        if (!named.IsCompleted && !await session.ExistsAsync(link.Topology.Durable(model), over.Token)) await named.WaitAsync(over.Token);
    }

    /// <summary>Returns when the subscription is over, be it that its queue is gone. What is missing once may be a leader that was slow to answer, or is elected.</summary>
    private async Task WatchAsync(BrokerSession session, RabbitMqSubscription subscription, CancellationToken stoppingToken)
    {
        for (var missing = 0; missing < 2;)
        {
            using var wait = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            var timer = Task.Delay(CheckInterval, time, wait.Token);
            if (await Task.WhenAny(subscription.Ended, timer) != timer)
            {
                await wait.CancelAsync();
                return;
            }

            stoppingToken.ThrowIfCancellationRequested();
            missing = await subscription.IsConsumedAsync(session, stoppingToken) ? 0 : missing + 1;
        }
    }

    /// <summary>The request in the message; null when there is none for us: it is on its way elsewhere then.</summary>
    private Delivery? Take(RabbitMqMessage message, OutstandingDeliveries outstanding, out Task? leaving)
    {
        leaving = null;
        var (request, fault, isLater) = Envelope.Unwrap(message.Properties, message.Body, link.Options.MaxMessageBytes);
        if (isLater)
        {
            leaving = ReturnLaterAsync(message, fault!);
            return null;
        }

        if (request is null)
        {
            leaving = letters.TryMoveAsync(message, null, fault!, 0, CancellationToken.None).AsTask();
            return null;
        }

        if (letters.GivenUp(request.Id) is { } given)
        {
            leaving = letters.MoveAsync(message, request, given.Reason, given.Attempts, CancellationToken.None).AsTask();
            return null;
        }

        outstanding.Add(message, request);
        return new Delivery(this, message, outstanding, request);
    }

    /// <summary>Not understood here: it waits for a gateway that is of its release, which this one's consumer is in the way of only while it holds the model.</summary>
    private async Task ReturnLaterAsync(RabbitMqMessage message, ServingFault fault)
    {
        LogLater(message.Properties.MessageId ?? "", message.Queue, fault.Message, LaterPause.TotalSeconds);
        await Task.Delay(LaterPause, time, message.Over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await message.ReturnAsync(CancellationToken.None);
    }

    private sealed class Delivery(RabbitMqRequestQueue queue, RabbitMqMessage message, OutstandingDeliveries outstanding, InferenceRequest request) : IRequestDelivery
    {
        public InferenceRequest Request => request;

        public bool Redelivered => message.Redelivered;

        public ValueTask CompleteAsync(CancellationToken cancellationToken)
        {
            Leave();
            return message.AcknowledgeAsync(cancellationToken);
        }

        public ValueTask ReturnAsync(CancellationToken cancellationToken)
        {
            outstanding.Remove(message);
            return message.ReturnAsync(cancellationToken);
        }

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken)
        {
            Leave();
            return queue.MoveAsync(message, request, reason, attempts, cancellationToken);
        }

        private void Leave()
        {
            outstanding.Remove(message);
            queue.Forget(request);
        }
    }

    private void Forget(InferenceRequest request) => bounds.Forget(request);

    private ValueTask MoveAsync(RabbitMqMessage message, InferenceRequest request, ServingFault reason, int attempts, CancellationToken cancellationToken) =>
        letters.MoveAsync(message, request, reason, attempts, cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queues of {Model} cannot be consumed now ({Reason}); the next try is in {Seconds} s.")]
    private partial void LogNotConsuming(ModelName model, string reason, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Message {Id} of {Queue} is not understood here ({Reason}); it is offered again in {Seconds} s, or to whoever dispatches the model next.")]
    private partial void LogLater(string id, string queue, string reason, double seconds);
}
