using System.Text;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// Every queue we use, named and described here and nowhere else. Per model a classic one for what a connection promises and a quorum queue for what an id promises; one quorum
/// queue of dead letters. All our publishing goes through the default exchange. Events are daprd's to declare, but for what it puts away: a topic that nobody reads has no queue there.
/// </summary>
public sealed class Topology(string prefix)
{
    private const int MaxNameBytes = 255;
    private const string TypeArgument = "x-queue-type";

    /// <summary>The queue of what was given up, of all models.</summary>
    public string DeadLetters { get; } = $"{prefix}.dead-letters";

    /// <summary>The queue of what a connection promises: messages go with the broker, their holders submit them again.</summary>
    public string Transient(ModelName model) => Name("transient", model);

    /// <summary>The queue of what an id promises: on the disks of most of the cluster before it is confirmed.</summary>
    public string Durable(ModelName model) => Name("durable", model);

    /// <summary>The declarations of these models' queues and of the dead letters'. The version decides on arguments that only some releases know.</summary>
    public IReadOnlyList<QueueDeclaration> Declarations(IEnumerable<ModelName> models, BrokerVersion version, TimeSpan longestWait)
    {
        var unanswered = new Dictionary<string, object>(StringComparer.Ordinal);
        if (version.HasQueueConsumerTimeout) unanswered["x-consumer-timeout"] = (long)longestWait.TotalMilliseconds;
        var unlimited = new Dictionary<string, object>(StringComparer.Ordinal);
        if (version.HasDefaultDeliveryLimit) unlimited["x-delivery-limit"] = -1;

        return
        [
            .. models.SelectMany(model => new[]
            {
                Queue(Transient(model), "classic", unanswered),
                Queue(Durable(model), "quorum", unanswered.Concat(unlimited)),
            }),
            Queue(DeadLetters, "quorum", unlimited),
            Queue(EventTopics.RequestsDead, "quorum", unlimited) with { Exchange = EventTopics.RequestsDead },
        ];
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
        settings.Add("client rights: write to the default exchange, read our queues, and configure them unless RabbitMq:Declare is off");
        return settings;
    }

    private static QueueDeclaration Queue(string name, string type, IEnumerable<KeyValuePair<string, object>> arguments) =>
        new(name, type, new Dictionary<string, object>(arguments, StringComparer.Ordinal) { [TypeArgument] = type });

    private string Name(string kind, ModelName model)
    {
        var name = $"{prefix}.{kind}.{model.Value}";
        if (Encoding.UTF8.GetByteCount(name) <= MaxNameBytes) return name;
        throw new ServingException(new ServingFault(ServingError.Internal, $"The queue name '{name}' is longer than RabbitMQ's {MaxNameBytes} bytes; give the model or RabbitMq:Prefix a shorter name."));
    }
}
