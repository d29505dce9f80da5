using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>The transient queue of the embedded shape: what a connection promises. Thread-safe.</summary>
public sealed class MemoryRequestQueue(QueueLimits limits) : IRequestQueue
{
    private const int MaxDeadLetters = 1000;

    private readonly ConcurrentDictionary<ModelName, ModelQueue> _queues = new();

    /// <inheritdoc/>
    public ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new(Queue(request.Model).Enqueue(request));
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken) => Queue(model).ConsumeAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken) => new(Queue(model).Depth());

    private ModelQueue Queue(ModelName model) => _queues.GetOrAdd(model, static (name, bounds) => new ModelQueue(name, bounds), limits);

    private sealed class ModelQueue(ModelName model, QueueLimits limits)
    {
        private readonly Lock _lock = new();
        private readonly QueueGauge _gauge = new(model, limits);
        private readonly Dictionary<RequestId, Delivery> _held = [];
        private readonly Queue<(InferenceRequest Request, ServingFault Reason)> _deadLetters = [];

        // Never full: what is held is within MaxRequests, and each is in the channel at most once.
        private readonly Channel<Delivery> _ready = Channel.CreateBounded<Delivery>(new BoundedChannelOptions(limits.MaxRequests) { FullMode = BoundedChannelFullMode.Wait });

        public EnqueueResult Enqueue(InferenceRequest request)
        {
            Delivery delivery;
            lock (_lock)
            {
                if (_held.ContainsKey(request.Id)) return EnqueueResult.Enqueued;
                if (_gauge.Add(request) is { } fault) return new EnqueueResult(fault);
                _held[request.Id] = delivery = new Delivery(this, request);
            }

            _ready.Writer.TryWrite(delivery);
            return EnqueueResult.Enqueued;
        }

        public async IAsyncEnumerable<IRequestDelivery> ConsumeAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            try
            {
                await foreach (var delivery in _ready.Reader.ReadAllAsync(cancellationToken))
                {
                    delivery.Delivered = true;
                    yield return delivery;
                }
            }
            finally
            {
                ReturnUnanswered();
            }
        }

        public QueueDepth Depth()
        {
            lock (_lock) return _gauge.Depth(_deadLetters.Count);
        }

        public void Remove(Delivery delivery, ServingFault? deadLetter = null)
        {
            lock (_lock)
            {
                if (!_held.Remove(delivery.Request.Id)) return;
                _gauge.Remove(delivery.Request);
                if (deadLetter is null) return;
                if (_deadLetters.Count == MaxDeadLetters) _deadLetters.Dequeue();
                _deadLetters.Enqueue((delivery.Request, deadLetter));
            }
        }

        public void Return(Delivery delivery)
        {
            lock (_lock)
            {
                if (!delivery.Delivered || !_held.ContainsKey(delivery.Request.Id)) return;
                delivery.Delivered = false;
                delivery.Redelivered = true;
            }

            _ready.Writer.TryWrite(delivery);
        }

        private void ReturnUnanswered()
        {
            Delivery[] unanswered;
            lock (_lock) unanswered = [.. _held.Values.Where(delivery => delivery.Delivered)];
            foreach (var delivery in unanswered) Return(delivery);
        }
    }

    private sealed class Delivery(ModelQueue queue, InferenceRequest request) : IRequestDelivery
    {
        public InferenceRequest Request => request;

        public bool Delivered { get; set; }

        public bool Redelivered { get; set; }

        public ValueTask CompleteAsync(CancellationToken cancellationToken)
        {
            queue.Remove(this);
            return ValueTask.CompletedTask;
        }

        public ValueTask ReturnAsync(CancellationToken cancellationToken)
        {
            queue.Return(this);
            return ValueTask.CompletedTask;
        }

        public ValueTask DeadLetterAsync(ServingFault reason, CancellationToken cancellationToken)
        {
            queue.Remove(this, reason);
            return ValueTask.CompletedTask;
        }
    }
}
