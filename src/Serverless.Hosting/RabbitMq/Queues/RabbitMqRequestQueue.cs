using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// The queue of the distributed shape. What an id promises is on the disks of most of the broker's cluster before an enqueue returns; what a connection promises is in the
/// broker's memory, until its deadline. Thread-safe.
/// </summary>
/// <remarks>
/// <code>
///  EnqueueAsync ─▶ bounds ─▶ publish, mandatory ─▶ confirm        serverless.transient.{model}  classic
///                                                                 serverless.durable.{model}    quorum
///  ConsumeAsync ◀─ envelope ◀─ subscription, no prefetch limit ◀─ ┘
///                     └─ no request ─▶ serverless.dead-letters, confirmed ─▶ acknowledge
/// </code>
/// </remarks>
internal sealed partial class RabbitMqRequestQueue(
    RabbitMqLink link, RabbitMqPublisher publisher, Burials burials, EnqueueBounds bounds, IDemandFeed demand, IOptions<RabbitMqOptions> options, TimeProvider time, ILogger<RabbitMqRequestQueue> logger)
    : IRequestQueue
{
    private const int InboxCapacity = 1024;

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<ModelName, HeldDeliveries> _held = new();
    private readonly ConcurrentDictionary<ModelName, bool> _enqueued = new();

    /// <inheritdoc/>
    public async ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (bounds.Admit(request) is { } full) return new EnqueueResult(full);
        _enqueued[request.Model] = true;

        var queue = request.Promise == Promise.Id ? link.Topology.Durable(request.Model) : link.Topology.Transient(request.Model);
        var fault = await publisher.TryPublishAsync(queue, request.Model, Envelope.Wrap(request, time.GetUtcNow()), request.Body, cancellationToken);
        if (fault is not null) bounds.Forget(request);
        return new EnqueueResult(fault);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var inbox = Channel.CreateBounded<RabbitMqMessage>(new BoundedChannelOptions(InboxCapacity) { SingleReader = true });
        var held = _held.GetOrAdd(model, _ => new HeldDeliveries());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var subscribing = SubscribeAsync(model, held, inbox.Writer, stop.Token);
        var burying = new List<Task>();
        try
        {
            await foreach (var message in inbox.Reader.ReadAllAsync(cancellationToken))
            {
                if (!message.Subscription.IsOpen) continue;
                if (Take(message, held, out var burial) is { } delivery) yield return delivery;
                if (burial is null) continue;
                burying.RemoveAll(task => task.IsCompleted);
                burying.Add(burial);
            }
        }
        finally
        {
            await stop.CancelAsync();
            inbox.Writer.TryComplete();
            await subscribing;
            await Task.WhenAll(burying).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            held.Clear();
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ModelName> WatchArrivalsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Every model, again and again: true, if not cheap.
        using var timer = new PeriodicTimer(CheckInterval, time);
        do
        {
            foreach (var model in link.Models.Concat(_enqueued.Keys).Distinct()) yield return model;
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }

    /// <inheritdoc/>
    public async ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(options.Value.PublishTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var session = await link.SessionAsync(either.Token);
            var transient = await ReadyAsync(session, link.Topology.Transient(model), either.Token);
            var durable = await ReadyAsync(session, link.Topology.Durable(model), either.Token);
            var letters = await ReadyAsync(session, link.Topology.DeadLetters, either.Token);
            return Add(transient + durable, letters, model);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            throw new ServingException(BrokerFaults.Unavailable(exception.Message), exception);
        }
    }

    /// <summary>The broker counts what it has not handed out; what it has, its consumer knows: this process, or whoever publishes the model's demand.</summary>
    private QueueDepth Add(long ready, long letters, ModelName model)
    {
        if (_held.TryGetValue(model, out var held) && held.IsConsuming)
        {
            var load = held.Load;
            return new QueueDepth(ready + load.Requests, load.Tokens, load.Bytes, letters);
        }

        var latest = demand.Latest(model);
        var tokens = latest is null ? 0 : latest.PendingPromptTokens + latest.PendingOutputTokens + latest.RunningTokens;
        return new QueueDepth(ready + (latest?.PendingRequests ?? 0) + (latest?.RunningRequests ?? 0), tokens, latest?.PendingBytes ?? 0, letters);
    }

    private static async Task<long> ReadyAsync(BrokerSession session, string queue, CancellationToken cancellationToken) => (await InspectAsync(session, queue, cancellationToken))?.MessageCount ?? 0;

    /// <summary>How a queue stands; null: there is none.</summary>
    private static async Task<QueueDeclareOk?> InspectAsync(BrokerSession session, string queue, CancellationToken cancellationToken)
    {
        await using var channel = await session.OpenChannelAsync(cancellationToken);
        try
        {
            return await channel.QueueDeclarePassiveAsync(queue, cancellationToken);
        }
        catch (OperationInterruptedException exception) when (exception.ShutdownReason?.ReplyCode == Constants.NotFound)
        {
            return null;
        }
    }

    /// <summary>Keeps a subscription, on whichever connection there is, until stopped.</summary>
    private async Task SubscribeAsync(ModelName model, HeldDeliveries held, ChannelWriter<RabbitMqMessage> into, CancellationToken stoppingToken)
    {
        held.IsConsuming = true;
        try
        {
            await SubscribeAgainAsync(model, held, into, stoppingToken);
        }
        catch (Exception exception)
        {
            into.TryComplete(exception);
        }
        finally
        {
            held.IsConsuming = false;
        }
    }

    private async Task SubscribeAgainAsync(ModelName model, HeldDeliveries held, ChannelWriter<RabbitMqMessage> into, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var session = await link.SessionAsync(stoppingToken);
                await session.DeclareAsync(model, stoppingToken);
                string[] queues = [link.Topology.Transient(model), link.Topology.Durable(model)];
                await using var subscription = await RabbitMqSubscription.OpenAsync(session, queues, into, stoppingToken);
                await WatchAsync(session, subscription, queues, stoppingToken);
                session.Abandon($"it has lost a queue or consumer of '{model}'");
            }
            catch (Exception exception) when (exception is not ObjectDisposedException && BrokerFaults.IsOutage(exception))
            {
                if (!stoppingToken.IsCancellationRequested) LogNotConsuming(model, exception.Message, RetryPause);
                await Task.Delay(RetryPause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            held.Clear(); // what that subscription delivered comes again
        }
    }

    /// <summary>Returns when the subscription is over. RabbitMQ 3.10 does not always tell a consumer that its queue was deleted, so it is asked now and then whether it still has one.</summary>
    private async Task WatchAsync(BrokerSession session, RabbitMqSubscription subscription, IReadOnlyList<string> queues, CancellationToken stoppingToken)
    {
        while (true)
        {
            using var wait = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            var timer = Task.Delay(CheckInterval, time, wait.Token);
            if (await Task.WhenAny(subscription.Ended, timer) != timer)
            {
                await wait.CancelAsync();
                return;
            }

            stoppingToken.ThrowIfCancellationRequested();
            foreach (var queue in queues)
            {
                if (await InspectAsync(session, queue, stoppingToken) is not { ConsumerCount: > 0 }) return;
            }
        }
    }

    /// <summary>The request in the message; null when there is none, or it has been condemned: its burial is under way then.</summary>
    private Delivery? Take(RabbitMqMessage message, HeldDeliveries held, out Task? burial)
    {
        burial = null;
        if (Envelope.Unwrap(message.Properties, message.Body, options.Value.MaxMessageBytes, out var malformed) is not { } request)
        {
            burial = burials.TryBuryAsync(message, malformed!, 0, CancellationToken.None).AsTask();
            return null;
        }

        if (burials.Sentence(request.Id) is { } sentence)
        {
            burial = burials.BuryAsync(message, request, sentence.Reason, sentence.Attempts, CancellationToken.None).AsTask();
            return null;
        }

        held.Add(message, request);
        return new Delivery(this, message, held, request);
    }

    private sealed class Delivery(RabbitMqRequestQueue queue, RabbitMqMessage message, HeldDeliveries held, InferenceRequest request) : IRequestDelivery
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
            held.Remove(message);
            return message.ReturnAsync(cancellationToken);
        }

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken)
        {
            Leave();
            return queue.BuryAsync(message, request, reason, attempts, cancellationToken);
        }

        private void Leave()
        {
            held.Remove(message);
            queue.Forget(request);
        }
    }

    private void Forget(InferenceRequest request) => bounds.Forget(request);

    private ValueTask BuryAsync(RabbitMqMessage message, InferenceRequest request, ServingFault reason, int attempts, CancellationToken cancellationToken) =>
        burials.BuryAsync(message, request, reason, attempts, cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queues of {Model} cannot be consumed now ({Reason}); the next try is in {Pause}.")]
    private partial void LogNotConsuming(ModelName model, string reason, TimeSpan pause);
}
