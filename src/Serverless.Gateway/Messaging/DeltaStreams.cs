using Microsoft.Extensions.Logging;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Gateway.Deltas;
using Serverless.Hosting.MassTransit;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>Sends the output of a request as messages, while it is made; each is confirmed before the next is sent. Thread-safe.</summary>
internal sealed partial class DeltaStreams(DeltaFollower deltas, MessageRecords records, IMessageSender sender, TimeProvider time, ILogger<DeltaStreams> logger)
{
    public async Task<BrokerVerdict> SendAsync(FollowInference follow, CancellationToken cancellationToken)
    {
        if (await deltas.FollowAsync(records.Owner, new RequestId(follow.InferenceId), follow.After, (delta, token) => SendAsync(follow, delta, token), cancellationToken) is not { } sent) return BrokerVerdict.Done;

        LogHandedOn(follow.InferenceId, sent);
        var names = new MessageNames(MessageReplies.NameOf($"{follow.InferenceId} {follow.Address}", $"{nameof(FollowInference)} {sent}", null)) { CorrelationId = follow.CorrelationId };
        await sender.SendAsync(follow with { After = sent }, names, cancellationToken);
        return BrokerVerdict.Done;
    }

    /// <summary>False: nothing hears where they are sent to, and has not for a while: its receiver is gone.</summary>
    private async Task<bool> SendAsync(FollowInference follow, OutputDelta made, CancellationToken cancellationToken)
    {
        var delta = new InferenceDelta
        {
            InferenceId = follow.InferenceId,
            CorrelationId = follow.CorrelationId,
            Sequence = made.Sequence,
            Choice = made.Choice,
            Text = made.Text,
            Body = made.Body,
            IsLast = made.IsLast,
            ErrorCode = made.Fault is { } fault ? ServingErrors.WordOf(fault) : null,
            ErrorMessage = made.Fault?.Message,
        };
        var names = new MessageNames(MessageReplies.NameOf($"{follow.InferenceId} {delta.Sequence}", nameof(InferenceDelta), null)) { CorrelationId = follow.CorrelationId };
        var backoff = new Backoff(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(10));
        for (var tries = 1; !await sender.SendAsync(follow.Address, delta, names, cancellationToken); tries++)
        {
            if (tries >= ReplyObserver.MostUnheard) return false;

            await Task.Delay(backoff.Next(), time, cancellationToken);
        }

        return true;
    }

    [LoggerMessage(LogLevel.Debug, "The deltas of {Request} are handed on after {Sent}.")]
    private partial void LogHandedOn(string request, long sent);
}
