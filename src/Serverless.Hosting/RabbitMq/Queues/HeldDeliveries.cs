using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>What this process's consumer of a model holds and has not answered. Thread-safe.</summary>
internal sealed class HeldDeliveries
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(RabbitMqSubscription, ulong), QueueLoad> _loads = [];
    private QueueLoad _load;

    public bool IsConsuming { get; set; }

    public QueueLoad Load
    {
        get
        {
            lock (_lock) return _load;
        }
    }

    public void Add(RabbitMqMessage message, InferenceRequest request)
    {
        var load = QueueLoad.Of(request);
        lock (_lock)
        {
            if (_loads.TryAdd((message.Subscription, message.Tag), load)) _load += load;
        }
    }

    public void Remove(RabbitMqMessage message)
    {
        lock (_lock)
        {
            if (_loads.Remove((message.Subscription, message.Tag), out var load)) _load -= load;
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _loads.Clear();
            _load = default;
        }
    }
}
