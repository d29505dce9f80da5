using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Requests;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>
/// The way in for services that speak MassTransit: a message is a request, promised by an id before it is acknowledged (ADR 19). Whoever is to be told of its end stands in its record, so
/// any gateway tells it; the id is made of the message's, so one that comes again is the same request. Thread-safe.
/// </summary>
internal sealed partial class InferenceMessages(
    RequestService requests, RequestDirectory directory, MessageRecords records, MessageReplies replies, DeltaStreams streams, ByteBudget budget, IOptions<MassTransitOptions> options, ILogger<InferenceMessages> logger)
    : IInferenceMessages
{
    private readonly Lane _highest = Lanes.TryParse(options.Value.HighestLane, out var lane) ? lane : Lane.Interactive;

    public async Task<BrokerVerdict> SubmitAsync(ReceivedMessage<SubmitInference> received, CancellationToken cancellationToken)
    {
        AskedInference? asked = null;
        try
        {
            replies.CheckAddresses(received);
            asked = AskedInference.Read(received, _highest);
            var record = await TakeAsync(received, asked, cancellationToken);

            // What follows may be done again: the message is acknowledged after it.
            if (received.Message.WantDeltas) await replies.FollowAsync(record.Id, received.Message, cancellationToken);
            if (received.Message.ReplyWithId) await replies.AcceptAsync(received, record, cancellationToken);
            if (record.HasEnded) await replies.EndAsync(record, MessageReplies.ReplyOf(received), cancellationToken);
            return BrokerVerdict.Done;
        }
        catch (ServingException exception)
        {
            return await RefuseAsync(received, asked, exception.Fault, cancellationToken);
        }
    }

    public async Task<BrokerVerdict> CancelAsync(ReceivedMessage<CancelInference> received, CancellationToken cancellationToken)
    {
        var (named, waits) = (received.Message, received is { RequestId: not null, ResponseAddress: not null });
        if (waits && replies.WhyNot(received.ResponseAddress, nameof(received.ResponseAddress)) is { } unfit) return BrokerVerdict.Refused(unfit);

        var ids = named.InferenceId is { Length: > 0 } id ? [new RequestId(id)] : AskedInference.IdsOf(named.IdempotencyKey, named.SubmitMessageId).ToArray();
        var fault = ids.Length == 0
            ? new ServingFault(ServingError.InvalidRequest, "The message names no inference; give one of 'InferenceId', 'SubmitMessageId' and 'IdempotencyKey'.", nameof(CancelInference.InferenceId))
            : new ServingFault(ServingError.RequestNotFound, "There is no such inference, or it is forgotten.", nameof(CancelInference.InferenceId));
        foreach (var one in ids)
        {
            try
            {
                var record = await directory.CancelAsync(records.Owner, one, cancellationToken);
                LogCancelled(record.Id, RequestObject.Word(record.Status), Shown(named.Reason ?? "no reason was given"));
                var reply = new MessageReply { RequestId = received.RequestId, ConversationId = received.ConversationId, ResultAddress = received.ResponseAddress?.OriginalString, FaultAddress = received.ResponseAddress?.OriginalString };
                if (waits) await replies.EndAsync(record, reply, cancellationToken);
                return BrokerVerdict.Done;
            }
            catch (ServingException exception) when (exception.Fault.Error == ServingError.RequestNotFound)
            {
            }
        }

        if (waits)
        {
            await replies.RefuseAsync(received, fault, cancellationToken);
            return BrokerVerdict.Done;
        }

        // What it cancels may be behind it, waiting for room: nobody waits for this one, so it comes again as long as that may.
        if (ids.Length > 0 && !received.IsLastTry) return BrokerVerdict.Later(fault);
        return ids.Length == 0 ? BrokerVerdict.Refused(fault) : BrokerVerdict.Done;
    }

    public async Task<BrokerVerdict> FollowAsync(ReceivedMessage<FollowInference> received, CancellationToken cancellationToken) =>
        replies.WhyNot(received.Message.Address, nameof(FollowInference.Address)) is { } unfit ? BrokerVerdict.Refused(unfit) : await streams.SendAsync(received.Message, cancellationToken);

    /// <summary>Its record, once its promise is on disk.</summary>
    private async Task<RequestRecord> TakeAsync(ReceivedMessage<SubmitInference> received, AskedInference asked, CancellationToken cancellationToken)
    {
        var origin = new MessageOrigin(asked.Fingerprint(), [MessageReplies.ReplyOf(received)]);
        if (await records.JoinAsync(asked, origin, cancellationToken) is { } known)
        {
            if (known.Status != RequestStatus.Queued) return known;
        }

        var bytes = asked.Body.Length;
        if (!budget.TryTake(records.Owner.Organization, bytes))
        {
            var (held, own) = budget.Of(records.Owner.Organization);
            throw new ServingException(new ServingFault(ServingError.QueueFull, $"This gateway holds {held} of {budget.Limit} bytes of request bodies, {own} of them of messages' organization, and {bytes} more would leave others less than it holds; it is tried again."));
        }

        try
        {
            var call = new Call
            {
                Id = asked.Id,
                Endpoint = asked.Endpoint.Name,
                Owner = records.Owner,
                Body = asked.Body,
                HighestLane = _highest,
                Lane = asked.Lane,
                Timeout = received.Message.Timeout,
                Conversation = received.Message.Conversation,
                PromiseAfter = TimeSpan.Zero,
                Origin = new EventOrigin(MessageRecords.Source, $"{received.MessageId}", received.TraceParent) { Message = origin },
                Metadata = asked.Metadata,
            };
            var taken = (Submitted.ById)await requests.SubmitAsync(call, cancellationToken);
            LogTaken(asked.Id, asked.Name);

            // Between the look and the save another gateway may have taken the same: its record stands, and this one's sender is told too.
            return await records.JoinAsync(asked, origin, cancellationToken) ?? PromisedRequests.RecordOf(taken.Ticket.Request!, call.Origin, call.Metadata);
        }
        finally
        {
            budget.Return(records.Owner.Organization, bytes);
        }
    }

    /// <summary>What passes is tried again, for as long as it may be; what does not is told, and put away where nobody waits to hear it.</summary>
    private async Task<BrokerVerdict> RefuseAsync(ReceivedMessage<SubmitInference> received, AskedInference? asked, ServingFault fault, CancellationToken cancellationToken)
    {
        if (ServingErrors.Row(fault.Error).Broker == BrokerAnswer.Retry && !received.IsLastTry) return BrokerVerdict.Later(fault);

        try
        {
            if (asked is not null && fault.Error != ServingError.IdempotencyConflict)
            {
                // It was half taken, or taken before and refused now (other options, another catalogue): what was promised goes on.
                switch (await records.IsHeldAsync(asked.Id, cancellationToken))
                {
                    case true:
                        return BrokerVerdict.Done;
                    case null when !received.IsLastTry:
                        return BrokerVerdict.Later(fault);
                    case null:
                        await records.GiveUpAsync(asked.Id, fault, cancellationToken);
                        break;
                    default:
                        break;
                }
            }

            await replies.RefuseAsync(received, asked?.Id, fault, cancellationToken);
        }
        catch (ServingException exception)
        {
            return BrokerVerdict.Later(exception.Fault);
        }

        if (received is not { RequestId: not null, ResponseAddress: not null }) return BrokerVerdict.Refused(fault);

        LogRefused(received.MessageId, fault.Error, fault.Message);
        return BrokerVerdict.Done;
    }

    private static string Shown(string reason) => reason.Length <= 200 ? reason : reason[..200] + "…";

    [LoggerMessage(LogLevel.Debug, "Took {Request} of {Name}.")]
    private partial void LogTaken(RequestId request, string name);

    [LoggerMessage(LogLevel.Information, "Refused message {Message}, whose sender is told: {Error}: {Reason}")]
    private partial void LogRefused(Guid? message, ServingError error, string reason);

    [LoggerMessage(LogLevel.Information, "{Request} is {Status} after a message that cancels it: {Reason}")]
    private partial void LogCancelled(string request, string status, string reason);
}
