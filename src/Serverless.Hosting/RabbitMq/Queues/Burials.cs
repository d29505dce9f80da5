using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// From a queue to the dead letters: published there with the reason, confirmed, and only then acknowledged here. What cannot be published now stays in its queue, is delivered
/// again, and is buried then: a request that was condemned is never handed out again. Thread-safe.
/// </summary>
internal sealed partial class Burials(RabbitMqLink link, RabbitMqPublisher publisher, TimeProvider time, ILogger<Burials> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<RequestId, (ServingFault Reason, int Attempts)> _condemned = new();

    /// <summary>Why a request that comes again was condemned before; null: it was not.</summary>
    public (ServingFault Reason, int Attempts)? Sentence(RequestId id) => _condemned.TryGetValue(id, out var sentence) ? sentence : null;

    /// <summary>Buries a message that holds this request.</summary>
    public async ValueTask BuryAsync(RabbitMqMessage message, InferenceRequest request, ServingFault reason, int attempts, CancellationToken cancellationToken)
    {
        _condemned[request.Id] = (reason, attempts);
        if (await TryBuryAsync(message, reason, attempts, cancellationToken)) _condemned.TryRemove(request.Id, out _);
    }

    /// <summary>Buries a message, whatever it holds. False: it comes again.</summary>
    public async ValueTask<bool> TryBuryAsync(RabbitMqMessage message, ServingFault reason, int attempts, CancellationToken cancellationToken)
    {
        var letter = Envelope.Bury(message.Properties, message.Queue, reason, attempts, time.GetUtcNow());
        if (await publisher.TryPublishAsync(link.Topology.DeadLetters, null, letter, message.Body, cancellationToken) is { } fault)
        {
            LogDelayed(message.Queue, message.Properties.MessageId ?? "", fault.Message);
            await Task.Delay(Pause, time, message.Subscription.Over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await message.ReturnAsync(cancellationToken);
            return false;
        }

        LogBuried(message.Queue, letter.MessageId ?? "", reason.Error, attempts, reason.Message);
        await message.AcknowledgeAsync(cancellationToken);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Message {Id} of {Queue} is a dead letter after {Attempts} attempts ({Error}: {Reason}); see serverless dead-letters show {Id}.")]
    private partial void LogBuried(string queue, string id, ServingError error, int attempts, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Message {Id} of {Queue} could not be laid to the dead letters ({Reason}); it stays in its queue and is tried again.")]
    private partial void LogDelayed(string queue, string id, string reason);
}
