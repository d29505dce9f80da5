using Serverless.Errors;

namespace Serverless.Events;

/// <summary>What a host does with the events of one topic. May be called with the same event again.</summary>
public interface IEventHandler
{
    /// <summary>The topic it takes.</summary>
    string Topic { get; }

    /// <summary>Handles one event; what it answers is what the broker is told. Work that outlives the call is on disk before it answers <see cref="BrokerAnswer.Acknowledge"/>.</summary>
    ValueTask<BrokerAnswer> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken);
}
