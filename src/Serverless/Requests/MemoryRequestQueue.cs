using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Feeds;

namespace Serverless.Requests;

/// <summary>A queue in memory: enough for what a connection promises; what an id promises needs a store beneath it. Dead letters are counted, not kept. Thread-safe.</summary>
public sealed class MemoryRequestQueue(QueueLimits limits, TimeProvider? time = null) : IRequestQueue
{
    private readonly QueueLimits _limits = limits;
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly ConcurrentDictionary<ModelName, ModelQueue> _queues = new();
    private readonly ByteBudget _bytes = new(limits.MaxTotalBytes);
    private ImmutableArray<PendingChanges<ModelName, bool>> _watches = [];

    /// <inheritdoc/>
    public ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new(Queue(request.Model).Enqueue(request));
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken) => Queue(model).ConsumeAsync(cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ModelName> WatchArrivalsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var arrivals = new PendingChanges<ModelName, bool>();
        ImmutableInterlocked.Update(ref _watches, watches => watches.Add(arrivals));
        try
        {
            foreach (var (model, queue) in _queues)
            {
                if (queue.Depth().Requests > 0) arrivals.Put(model, true);
            }

            await foreach (var taken in arrivals.TakeAllAsync(cancellationToken))
            {
                foreach (var model in taken.Keys) yield return model;
            }
        }
        finally
        {
            ImmutableInterlocked.Update(ref _watches, watches => watches.Remove(arrivals));
        }
    }

    /// <inheritdoc/>
    public ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken) => new(Queue(model).Depth());

    /// <summary>Which bound the request would break if it were enqueued now; null: none. For a store that writes before it enqueues.</summary>
    public ServingFault? Check(InferenceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return Queue(request.Model).Check(request);
    }

    /// <summary>Puts back what an earlier process had and did not finish: counted, beyond the bounds if need be, and delivered as <see cref="IRequestDelivery.Redelivered"/>.</summary>
    public void Restore(InferenceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        Queue(request.Model).Restore(request);
    }

    private ModelQueue Queue(ModelName model) => _queues.GetOrAdd(model, static (name, queue) => new ModelQueue(name, queue), this);

    private void Announce(ModelName model)
    {
        foreach (var watch in _watches) watch.Put(model, true);
    }

    private sealed class ModelQueue(ModelName model, MemoryRequestQueue all)
    {
        private readonly Lock _lock = new();
        private readonly QueueGauge _gauge = new(model, all._limits);
        // By promise too: one that an id promises after a connection did is a delivery of its own, for it outlives the other.
        private readonly Dictionary<(RequestId Id, Promise Promise), Delivery> _held = [];

        // Never full: what is held was bounded when it was enqueued, and each is in the channel at most once.
        private readonly Channel<Delivery> _ready = Channel.CreateBounded<Delivery>(new BoundedChannelOptions(int.MaxValue) { FullMode = BoundedChannelFullMode.Wait });
        private readonly LeavingRate _leaving = new();
        private long _deadLetters;

        public EnqueueResult Enqueue(InferenceRequest request)
        {
            Delivery delivery;
            lock (_lock)
            {
                if (_held.ContainsKey((request.Id, request.Promise))) return EnqueueResult.Enqueued;
                if (Refusal(request) is { } fault) return new EnqueueResult(fault);
                if (!all._bytes.TryTake(request.Owner.Organization, request.Body.Length)) return new EnqueueResult(OutOfBytes(request));
                _gauge.Add(request.Owner.Organization, QueueLoad.Of(request));
                _held[(request.Id, request.Promise)] = delivery = new Delivery(this, request);
            }

            MakeReady(delivery);
            return EnqueueResult.Enqueued;
        }

        public ServingFault? Check(InferenceRequest request)
        {
            lock (_lock) return _held.ContainsKey((request.Id, request.Promise)) ? null : Refusal(request);
        }

        public void Restore(InferenceRequest request)
        {
            var delivery = new Delivery(this, request) { Redelivered = true };
            lock (_lock)
            {
                if (!_held.TryAdd((request.Id, request.Promise), delivery)) return;
                all._bytes.Take(request.Owner.Organization, request.Body.Length);
                _gauge.Add(request.Owner.Organization, QueueLoad.Of(request));
            }

            MakeReady(delivery);
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
            lock (_lock) return new QueueDepth(_gauge.Held.Requests, _gauge.Held.Tokens, _gauge.Held.Bytes, _deadLetters);
        }

        public void Remove(Delivery delivery, bool deadLetter = false)
        {
            lock (_lock)
            {
                if (!_held.Remove((delivery.Request.Id, delivery.Request.Promise))) return;
                _gauge.Remove(delivery.Request.Owner.Organization, QueueLoad.Of(delivery.Request));
                all._bytes.Return(delivery.Request.Owner.Organization, delivery.Request.Body.Length);
                _leaving.Add(delivery.Request.MaxTotalTokens, all._time.GetUtcNow());
                if (deadLetter) _deadLetters++;
            }
        }

        public void Return(Delivery delivery)
        {
            lock (_lock)
            {
                if (!delivery.Delivered || !_held.ContainsKey((delivery.Request.Id, delivery.Request.Promise))) return;
                delivery.Delivered = false;
                delivery.Redelivered = true;
            }

            MakeReady(delivery);
        }

        private void MakeReady(Delivery delivery)
        {
            _ready.Writer.TryWrite(delivery);
            all.Announce(model);
        }

        private ServingFault? Refusal(InferenceRequest request) =>
            _gauge.Check(request.Owner.Organization, QueueLoad.Of(request), default, default, _leaving.PerSecond(all._time.GetUtcNow()))
            ?? (all._bytes.Fits(request.Owner.Organization, request.Body.Length) ? null : OutOfBytes(request));

        private ServingFault OutOfBytes(InferenceRequest request)
        {
            var (held, own) = all._bytes.Of(request.Owner.Organization);
            return new ServingFault(
                ServingError.QueueFull,
                $"The queues of all models hold {held} of {all._bytes.Limit} bytes, {own} of them your organization's: {request.Body.Length} more would leave others less than it holds; try again later.");
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

        public ValueTask DeadLetterAsync(ServingFault reason, int attempts, CancellationToken cancellationToken)
        {
            queue.Remove(this, deadLetter: true);
            return ValueTask.CompletedTask;
        }
    }
}
