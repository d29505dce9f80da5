using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>What this process's consumer of a model was delivered and has not answered. Thread-safe.</summary>
internal sealed class OutstandingDeliveries
{
    private readonly Lock _lock = new();
    private readonly Dictionary<RabbitMqMessage, QueueLoad> _loads = [];
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
            if (_loads.TryAdd(message, load)) _load += load;
        }
    }

    public void Remove(RabbitMqMessage message)
    {
        lock (_lock)
        {
            if (_loads.Remove(message, out var load)) _load -= load;
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
