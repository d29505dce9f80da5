using Microsoft.Extensions.Logging;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Gateway.Requests;
using Serverless.Hosting.MassTransit;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>
/// Sends the output of a request as deltas, while it is made. Each is confirmed before the next is sent, so they are in order and a slow broker holds the stream up, whose log keeps what is to
/// come; the same part has the same number whoever sends it, so what a lost gateway began another sends on. Thread-safe.
/// </summary>
internal sealed partial class DeltaStreams(
    RequestDirectory directory, RequestService requests, MessageRecords records, IMessageSender sender, ShutdownGate shutdown, TimeProvider time, ILogger<DeltaStreams> logger)
{
    /// <summary>Brokers take a message back that is not answered for half an hour: a longer stream is handed on before.</summary>
    private static readonly TimeSpan LongestTurn = TimeSpan.FromMinutes(10);

    public async Task<MessageVerdict> SendAsync(FollowInference follow, CancellationToken cancellationToken)
    {
        var stream = new Stream(follow, sender, time);
        Ticket ticket;
        try
        {
            ticket = await directory.FollowAsync(records.Owner, new RequestId(follow.InferenceId), null, cancellationToken);
        }
        catch (ServingException exception) when (exception.Fault.Error is ServingError.RequestNotFound or ServingError.LogExpired)
        {
            await stream.EndAsync(exception.Fault, cancellationToken);
            return MessageVerdict.Done;
        }

        try
        {
            using var writer = new DeltaWriter(ticket.Shape);
            var began = time.GetTimestamp();
            await foreach (var step in requests.FollowAsync(ticket, cancellationToken))
            {
                if (await TakeAsync(step, ticket, writer, stream, cancellationToken) || stream.IsUnheard) return MessageVerdict.Done;
                if (!shutdown.IsStopping && time.GetElapsedTime(began) < LongestTurn) continue;

                await HandOnAsync(follow, stream.Sent, cancellationToken);
                return MessageVerdict.Done;
            }

            return MessageVerdict.Done;
        }
        finally
        {
            await requests.LeaveAsync(ticket);
        }
    }

    /// <summary>True: that was the last one.</summary>
    private static async ValueTask<bool> TakeAsync(FollowStep step, Ticket ticket, DeltaWriter writer, Stream stream, CancellationToken cancellationToken)
    {
        switch (step)
        {
            case { Kind: FollowKind.Failed, Fault: { Error: ServingError.ShuttingDown } }:
                return false;

            case { Kind: FollowKind.Failed }:
                await stream.EndAsync(step.Fault, cancellationToken);
                return true;

            case { Kind: FollowKind.Event, Logged.Event: RequestEvent.Chunk chunk }:
                var isWhole = writer.TryAppend(step.Logged.Sequence, chunk);
                await stream.SendAsync(writer.Take(), cancellationToken);
                if (!isWhole) await stream.EndAsync(RequestFaults.Gap, cancellationToken);
                return !isWhole;

            case { Kind: FollowKind.Event, Logged.Event: RequestEvent.Finished finished }:
                writer.Finish(finished.Usage);
                await stream.SendAsync(writer.Take(), cancellationToken);
                await stream.EndAsync(null, cancellationToken);
                return true;

            case { Kind: FollowKind.Event, Logged.Event.IsTerminal: true }:
                await stream.EndAsync(ticket.Fault, cancellationToken);
                return true;

            default:
                return false;
        }
    }

    private async Task HandOnAsync(FollowInference follow, long sent, CancellationToken cancellationToken)
    {
        LogHandedOn(follow.InferenceId, sent);
        await sender.SendAsync(follow with { After = sent }, new MessageNames(MessageReplies.NameOf($"{follow.InferenceId} {follow.Address}", $"{nameof(FollowInference)} {sent}", null)) { CorrelationId = follow.CorrelationId }, cancellationToken);
    }

    [LoggerMessage(LogLevel.Debug, "The deltas of {Request} are handed on after {Sent}.")]
    private partial void LogHandedOn(string request, long sent);

    /// <summary>One stream and how far it is.</summary>
    private sealed class Stream(FollowInference follow, IMessageSender sender, TimeProvider time)
    {
        private long _made;

        /// <summary>The last delta that the broker has.</summary>
        public long Sent { get; private set; } = follow.After;

        /// <summary>Nothing hears where they are sent to, and has not for a while: its receiver is gone.</summary>
        public bool IsUnheard { get; private set; }

        public async Task SendAsync(IEnumerable<InferenceDelta> deltas, CancellationToken cancellationToken)
        {
            foreach (var delta in deltas)
            {
                if (++_made > follow.After) await SendAsync(delta with { Sequence = _made }, cancellationToken);
            }
        }

        /// <summary>The last one. What it comes to is behind what was sent, also where nothing of that can be made any more.</summary>
        public Task EndAsync(ServingFault? fault, CancellationToken cancellationToken) => SendAsync(
            new InferenceDelta { Sequence = Math.Max(_made, Sent) + 1, IsLast = true, ErrorCode = fault is null ? null : MessageReplies.CodeOf(fault), ErrorMessage = fault?.Message },
            cancellationToken);

        private async Task SendAsync(InferenceDelta delta, CancellationToken cancellationToken)
        {
            var names = new MessageNames(MessageReplies.NameOf($"{follow.InferenceId} {delta.Sequence}", nameof(InferenceDelta), null)) { CorrelationId = follow.CorrelationId };
            var backoff = new Backoff(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(10));
            for (var tries = 0; !IsUnheard && !await sender.SendAsync(follow.Address, delta with { InferenceId = follow.InferenceId, CorrelationId = follow.CorrelationId }, names, cancellationToken);)
            {
                if (++tries >= ReplyObserver.MostUnheard) IsUnheard = true;
                else await Task.Delay(backoff.Next(), time, cancellationToken);
            }

            Sent = delta.Sequence;
        }
    }
}
