using Serverless.Errors;

namespace Serverless.Events;

/// <summary>What a host does with the events of some topics. May be called with the same event again.</summary>
public interface IEventHandler
{
    /// <summary>The topics it takes.</summary>
    IReadOnlyList<string> Topics { get; }

    /// <summary>Events that it handles at once where that is not the broker's to say. More than one: in no order.</summary>
    int AtOnce => 1;

    /// <summary>
    /// Handles one event. Done: it is acknowledged. Not now: it comes again. Never: it goes to the dead letters with the reason, and is acknowledged once it is there. Work that outlives the
    /// call is on disk before it is done.
    /// </summary>
    ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken);
}
