using System.Text;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>
/// Every queue we use, named and described here and nowhere else. Per model a classic one for what a connection promises and a quorum queue for what an id promises; one quorum
/// queue of dead letters. All our publishing of requests goes through the default exchange. Events are daprd's to declare, but for what it puts away: a topic that nobody reads has no queue there.
/// </summary>
public sealed class Topology(string prefix)
{
    private const int MaxNameBytes = 255;
    private const string Classic = "classic";
    private const string Quorum = "quorum";
    private const string TransientKind = "transient";
    private const string DurableKind = "durable";
    private const string TypeArgument = "x-queue-type";

    /// <summary>The queue of what was given up, of all models.</summary>
    public string DeadLetters { get; } = $"{prefix}.dead-letters";

    /// <summary>Where models are named to which something is enqueued: whoever sleeps wakes by it.</summary>
    public string Arrivals { get; } = $"{prefix}.arrivals";

    /// <summary>The queue of what a connection promises: messages go with the broker, their holders submit them again.</summary>
    public string Transient(ModelName model) => Name(TransientKind, model);

    /// <summary>The queue of what an id promises: on the disks of most of the cluster before it is confirmed.</summary>
    public string Durable(ModelName model) => Name(DurableKind, model);

    /// <summary>The declarations of these models' queues and of those that all share.</summary>
    public IReadOnlyList<QueueDeclaration> Declarations(IEnumerable<ModelName> models, BrokerVersion version, TimeSpan longestWait) =>
    [
        .. models.SelectMany(model => new[] { Transient(model), Durable(model) }).Concat([DeadLetters, EventTopics.RequestsDead]).Select(queue => Declaration(queue, version, longestWait)),
    ];

    /// <summary>How one of our queues is declared. The version decides on arguments that only some releases know.</summary>
    public QueueDeclaration Declaration(string queue, BrokerVersion version, TimeSpan longestWait)
    {
        var type = queue.StartsWith(Of(TransientKind), StringComparison.Ordinal) ? Classic : Quorum;
        var arguments = new Dictionary<string, object>(StringComparer.Ordinal) { [TypeArgument] = type };
        if (version.HasQueueConsumerTimeout && (type == Classic || queue.StartsWith(Of(DurableKind), StringComparison.Ordinal))) arguments["x-consumer-timeout"] = (long)longestWait.TotalMilliseconds;
        if (version.HasDefaultDeliveryLimit && type == Quorum) arguments["x-delivery-limit"] = -1;
        return new QueueDeclaration(queue, type, arguments) { Exchange = queue == EventTopics.RequestsDead ? queue : null };
    }

    /// <summary>What the broker's own configuration needs, and why; a line each.</summary>
    public static IReadOnlyList<string> Settings(BrokerVersion version, RabbitMqOptions options)
    {
        var settings = new List<string>();
        if (!version.HasQueueConsumerTimeout)
        {
            settings.Add($"rabbitmq.conf: consumer_timeout = {(long)options.LongestWait.TotalMilliseconds}  # a request may stay unanswered that long; RabbitMQ {version} takes it from there only (default: 30 minutes)");
        }

        settings.Add($"rabbitmq.conf: max_message_size of at least {options.MaxMessageBytes}  # the default of RabbitMQ 4 is 16777216, of RabbitMQ 3 134217728");
        settings.Add($"policies: none with delivery-limit, max-length, max-length-bytes, message-ttl or expires on '{options.Prefix}.*'  # each of them loses requests");
        settings.Add($"client rights: write to the default exchange and to '{options.Prefix}.arrivals', read our queues, and configure them unless RabbitMq:Declare is off; each gateway makes a queue of its own, named by the broker (amq.gen-*)");
        return settings;
    }

    private string Of(string kind) => $"{prefix}.{kind}.";

    /// <summary>Whether the model's queues can have names: RabbitMQ bounds them.</summary>
    public bool CanName(ModelName model) => Encoding.UTF8.GetByteCount(Of(TransientKind)) + Encoding.UTF8.GetByteCount(model.Value) <= MaxNameBytes;

    private string Name(string kind, ModelName model)
    {
        var name = Of(kind) + model.Value;
        if (Encoding.UTF8.GetByteCount(name) <= MaxNameBytes) return name;
        throw new ServingException(new ServingFault(ServingError.Internal, $"The queue name '{name}' is longer than RabbitMQ's {MaxNameBytes} bytes; give the model or RabbitMq:Prefix a shorter name."));
    }
}

/// <summary>A queue of ours, as it is declared: durable, not exclusive, never deleted by itself.</summary>
public sealed record QueueDeclaration(string Name, string Type, IReadOnlyDictionary<string, object> Arguments)
{
    /// <summary>A durable fanout exchange that feeds it, where others publish by one; null: only the default exchange does.</summary>
    public string? Exchange { get; init; }
}
