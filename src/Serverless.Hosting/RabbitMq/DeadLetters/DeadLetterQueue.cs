using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.DeadLetters;

/// <summary>
/// From a queue to the dead letters: published there with the reason, confirmed, and only then acknowledged here. What cannot be published now stays in its queue, is delivered
/// again, and is laid there then: a request that was given up is never handed out again. Thread-safe.
/// </summary>
internal sealed partial class DeadLetterQueue(RabbitMqLink link, RabbitMqPublisher publisher, TimeProvider time, ILogger<DeadLetterQueue> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<RequestId, (ServingFault Reason, int Attempts)> _givenUp = new();

    /// <summary>Why a request that comes again was given up before; null: it was not.</summary>
    public (ServingFault Reason, int Attempts)? GivenUp(RequestId id) => _givenUp.TryGetValue(id, out var given) ? given : null;

    /// <summary>Moves a message that holds this request.</summary>
    public async ValueTask MoveAsync(RabbitMqMessage message, InferenceRequest request, ServingFault reason, int attempts, CancellationToken cancellationToken)
    {
        _givenUp[request.Id] = (reason, attempts);
        if (await TryMoveAsync(message, request, reason, attempts, cancellationToken)) _givenUp.TryRemove(request.Id, out _);
    }

    /// <summary>Moves a message, whatever it holds. False: it comes again.</summary>
    public async ValueTask<bool> TryMoveAsync(RabbitMqMessage message, InferenceRequest? request, ServingFault reason, int attempts, CancellationToken cancellationToken)
    {
        // In the envelope of today where it can be read: an earlier one may have more in its headers than a dead letter has room for.
        request ??= Envelope.Unwrap(message.Properties, message.Body, int.MaxValue).Request;
        using var wrapped = request is null ? null : Envelope.Wrap(request, Envelope.Latest, int.MaxValue, time.GetUtcNow(), out _);
        var letter = LetterEnvelope.Seal(wrapped?.Properties ?? message.Properties, message.Queue, reason, attempts, time.GetUtcNow());
        letter.MessageId = string.IsNullOrEmpty(message.Properties.MessageId) ? letter.MessageId : message.Properties.MessageId;
        if (await publisher.TryPublishAsync(link.Topology.DeadLetters, letter, wrapped?.Body ?? message.Body, null, cancellationToken) is { } fault)
        {
            LogDelayed(message.Queue, letter.MessageId!, fault.Message);
            await Task.Delay(Pause, time, message.Over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await message.ReturnAsync(cancellationToken);
            return false;
        }

        LogMoved(message.Queue, letter.MessageId!, reason.Error, attempts, reason.Message);
        await message.AcknowledgeAsync(cancellationToken);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Message {Id} of {Queue} is a dead letter after {Attempts} attempts ({Error}: {Reason}); see serverless dead-letters show {Id}.")]
    private partial void LogMoved(string queue, string id, ServingError error, int attempts, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Message {Id} of {Queue} could not be laid to the dead letters ({Reason}); it stays in its queue and is tried again.")]
    private partial void LogDelayed(string queue, string id, string reason);
}
