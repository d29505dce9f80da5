using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Requests;

namespace Serverless.Gateway.Inbound;

/// <summary>
/// The way in for other services: an event of topic <c>serverless.requests</c> is a request, promised by an id before the event is acknowledged. The id is made of the event's
/// source and id, so an event that comes again is the same request. Its result is an event too. Thread-safe.
/// </summary>
internal sealed partial class InferenceEventHandler(
    RequestService requests, RequestRecords records, RecordReader reader, ResultEvents results, IOptions<EventOptions> options, TimeProvider time, ILogger<InferenceEventHandler> logger)
    : IEventHandler
{
    private readonly Owner _owner = new(options.Value.Organization, options.Value.Team, "events");

    public string Topic => EventTopics.Requests;

    public async ValueTask<BrokerAnswer> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        var endpoint = ApiEndpoint.All[0];
        try
        {
            var payload = EventPayload.Parse(cloudEvent.Data);
            endpoint = payload.Endpoint;
            var id = IdOf(cloudEvent, endpoint);
            if (await records.FindAsync(_owner, id, cancellationToken) is { Record: { HasEnded: true } ended }) return await AnswerAsync(ended, cancellationToken);

            var call = new Call
            {
                Id = id,
                Endpoint = endpoint.Name,
                Owner = _owner,
                Body = payload.Body,
                PromiseAfter = TimeSpan.Zero,
                Origin = OriginOf(cloudEvent),
                Metadata = payload.Metadata,
            };
            await requests.SubmitAsync(call, cancellationToken);
            LogTaken(id, cloudEvent.Source, cloudEvent.Id);
            return BrokerAnswer.Acknowledge;
        }
        catch (ServingException e)
        {
            return await RefuseAsync(cloudEvent, endpoint, e.Fault, cancellationToken);
        }
    }

    /// <summary>What passes is tried again; what does not is told, and goes to the dead letters.</summary>
    private async ValueTask<BrokerAnswer> RefuseAsync(CloudEvent cloudEvent, ApiEndpoint endpoint, ServingFault fault, CancellationToken cancellationToken)
    {
        var answer = ServingErrors.Row(fault.Error).Broker;
        if (answer == BrokerAnswer.Retry)
        {
            LogRefused(cloudEvent.Source, cloudEvent.Id, fault.Error, answer);
            return answer;
        }

        try
        {
            var id = IdOf(cloudEvent, endpoint);
            if (await records.FindAsync(_owner, id, cancellationToken) is not { Record: var taken }) return await EndAsync(cloudEvent, endpoint, fault, cancellationToken);
            if (taken.HasEnded) return await AnswerAsync(taken, cancellationToken); // told of when it was refused

            // It was taken before, and what refuses it now (other options, another catalogue) does not end what was promised. Where it is not known to run, the broker asks again.
            LogGoesOn(id, cloudEvent.Source, cloudEvent.Id, fault.Message);
            return await reader.UpdateAsync(taken, cancellationToken) is { Status: not RequestStatus.Queued } ? BrokerAnswer.Acknowledge : BrokerAnswer.Retry;
        }
        catch (ServingException)
        {
            return BrokerAnswer.Retry;
        }
    }

    /// <summary>Nothing was taken: who sent it finds a record that says so.</summary>
    private async ValueTask<BrokerAnswer> EndAsync(CloudEvent cloudEvent, ApiEndpoint endpoint, ServingFault fault, CancellationToken cancellationToken)
    {
        LogRefused(cloudEvent.Source, cloudEvent.Id, fault.Error, ServingErrors.Row(fault.Error).Broker);
        var (id, now) = (IdOf(cloudEvent, endpoint), time.GetUtcNow());
        var record = new RequestRecord { Id = id.Value, Endpoint = endpoint.Name, Model = "", Owner = _owner, CreatedAt = now, Deadline = now, Origin = OriginOf(cloudEvent), Refused = true };
        await reader.EndAsync(record, new RequestEvent.Failed(fault), cancellationToken); // of a delivery before, which the queue refused
        var failed = reader.Fail(record, fault);
        return await records.TryCreateAsync(failed, cancellationToken) ? await AnswerAsync(failed, cancellationToken) : BrokerAnswer.Retry;
    }

    /// <summary>Of an event whose request has ended. Who sent one that was refused is told before it is put away.</summary>
    private async ValueTask<BrokerAnswer> AnswerAsync(RequestRecord ended, CancellationToken cancellationToken)
    {
        if (!ended.Refused) return BrokerAnswer.Acknowledge;
        return ended.Published || await results.PublishAsync(ended, cancellationToken) ? BrokerAnswer.DeadLetter : BrokerAnswer.Retry;
    }

    private static RequestId IdOf(CloudEvent cloudEvent, ApiEndpoint endpoint) => RequestId.Derive(endpoint.IdPrefix, Encoding.UTF8.GetBytes($"{cloudEvent.Source}\n{cloudEvent.Id}"));

    private static EventOrigin OriginOf(CloudEvent cloudEvent) => new(cloudEvent.Source, cloudEvent.Id, cloudEvent.TraceParent);

    [LoggerMessage(LogLevel.Debug, "Took {Request} of event {Event} of {Source}.")]
    private partial void LogTaken(RequestId request, string source, string @event);

    [LoggerMessage(LogLevel.Information, "Event {Event} of {Source} came again and would be refused now; {Request}, which was taken for it, goes on: {Reason}")]
    private partial void LogGoesOn(RequestId request, string source, string @event, string reason);

    [LoggerMessage(LogLevel.Information, "Refused event {Event} of {Source}: {Error}; the broker is told to {Answer}.")]
    private partial void LogRefused(string source, string @event, ServingError error, BrokerAnswer answer);
}
