using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Outbound;
using Serverless.Gateway.Requests;
using Serverless.Requests;

namespace Serverless.Gateway.Inbound;

/// <summary>
/// The way in for other services: an event of topic <c>serverless.requests</c>, or of another that is configured, is a request, promised by an id before the event is acknowledged. The id is
/// made of the event's source and id, so an event that comes again is the same request. Its result is an event too. Thread-safe.
/// </summary>
internal sealed partial class InferenceEventHandler(
    RequestService requests, EventRecords records, EventStreams streams, CallbackPolicy callbacks, ConversationOrder order, IOptions<EventOptions> options, TimeProvider time, ILogger<InferenceEventHandler> logger)
    : IEventHandler
{
    private readonly Lane _highest = AskedByEvent.HighestLane(options.Value);

    public IReadOnlyList<string> Topics { get; } = options.Value.AllTopics;

    public async ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        AskedByEvent asked;
        try
        {
            asked = AskedByEvent.Read(cloudEvent, options.Value);
        }
        catch (ServingException e)
        {
            return await RefuseAsync(AskedByEvent.OwnerOf(options.Value), ApiEndpoint.All, AskedByEvent.OriginOf(cloudEvent), e.Fault, cancellationToken);
        }

        if (asked.Payload.Conversation is not { } conversation) return await TakeAsync(asked, cancellationToken);
        return await order.RunAsync($"{asked.Owner.Scope}\n{conversation}", $"{cloudEvent.Source}\n{cloudEvent.Id}", () => TakeAsync(asked, cancellationToken), cancellationToken);
    }

    private async ValueTask<BrokerVerdict> TakeAsync(AskedByEvent asked, CancellationToken cancellationToken)
    {
        try
        {
            if (await records.FindAsync(asked, cancellationToken) is { HasEnded: true } ended)
            {
                if (ended is { Refused: false, Origin.Deltas: true }) await streams.StartAsync(asked.Owner, asked.Id, cancellationToken); // whoever took it may have been lost before it could say so
                return await records.AnswerAsync(ended, cancellationToken);
            }

            var call = new Call
            {
                Id = asked.Id,
                Endpoint = asked.Payload.Endpoint.Name,
                Owner = asked.Owner,
                Body = asked.Payload.Body,
                HighestLane = _highest,
                Lane = asked.Payload.Priority,
                Timeout = asked.TimeoutAt(time.GetUtcNow()),
                Conversation = asked.Payload.Conversation,
                PromiseAfter = TimeSpan.Zero,
                Callback = asked.Payload.Callback is { } url ? callbacks.Read(url, asked.Owner.Organization, "callback") : null,
                Origin = asked.Origin,
                Metadata = asked.Payload.Metadata,
            };
            await requests.SubmitAsync(call, cancellationToken);
            if (asked.Origin.Deltas) await streams.StartAsync(asked.Owner, asked.Id, cancellationToken);
            LogTaken(asked.Id, asked.Origin.Source, asked.Origin.Id);
            return BrokerVerdict.Done;
        }
        catch (ServingException e)
        {
            return await RefuseAsync(asked.Owner, [asked.Payload.Endpoint], asked.Origin, e.Fault, cancellationToken, asked.Id);
        }
    }

    /// <summary>What passes is tried again; what does not is told, and goes to the dead letters.</summary>
    /// <param name="owner">Whose.</param>
    /// <param name="endpoints">Where it would be known: one that could not be read may have been taken at any.</param>
    /// <param name="origin">The event.</param>
    /// <param name="fault">Why.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="id">Its name; null: it names no owner that is known.</param>
    private async ValueTask<BrokerVerdict> RefuseAsync(Owner owner, IReadOnlyList<ApiEndpoint> endpoints, EventOrigin origin, ServingFault fault, CancellationToken cancellationToken, RequestId? id = null)
    {
        var verdict = BrokerVerdict.Of(fault);
        if (verdict.Answer == BrokerAnswer.Retry || fault.Error == ServingError.IdempotencyConflict) // the second: its name is another's, whose result is not touched
        {
            LogRefused(origin.Source, origin.Id, fault.Error, verdict.Answer);
            return verdict;
        }

        try
        {
            foreach (var endpoint in endpoints)
            {
                var named = id ?? AskedByEvent.IdOf(origin, endpoint);
                if (await records.FindAsync(owner, named, cancellationToken) is not { } taken) continue;
                if (taken.HasEnded) return await records.AnswerAsync(taken, cancellationToken); // told of when it was refused

                // It was taken before, and what refuses it now (other options, another catalogue) does not end what was promised. Where it is not known to run, the broker asks again.
                LogGoesOn(named, origin.Source, origin.Id, fault.Message);
                return await records.IsHeldAsync(taken, cancellationToken) ? BrokerVerdict.Done : BrokerVerdict.Later(fault);
            }

            LogRefused(origin.Source, origin.Id, fault.Error, verdict.Answer);
            return await records.RefuseAsync(owner, id ?? AskedByEvent.IdOf(origin, endpoints[0]), endpoints[0], origin, fault, cancellationToken);
        }
        catch (ServingException exception)
        {
            return BrokerVerdict.Later(exception.Fault);
        }
    }

    [LoggerMessage(LogLevel.Debug, "Took {Request} of event {Event} of {Source}.")]
    private partial void LogTaken(RequestId request, string source, string @event);

    [LoggerMessage(LogLevel.Information, "Event {Event} of {Source} came again and would be refused now; {Request}, which was taken for it, goes on: {Reason}")]
    private partial void LogGoesOn(RequestId request, string source, string @event, string reason);

    [LoggerMessage(LogLevel.Information, "Refused event {Event} of {Source}: {Error}; the broker is told to {Answer}.")]
    private partial void LogRefused(string source, string @event, ServingError error, BrokerAnswer answer);
}
