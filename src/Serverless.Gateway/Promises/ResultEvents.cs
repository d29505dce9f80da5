using Serverless.Events;

namespace Serverless.Gateway.Promises;

/// <summary>Ends of promised requests as events: type <c>dev.serverless.request.{completed|failed|cancelled}</c>, id and subject the request's id, data the request object. Thread-safe.</summary>
internal sealed class ResultEvents(IEventBus bus, TimeProvider time)
{
    private const string Source = "/serverless/gateway";

    public ValueTask PublishAsync(RequestRecord record, CancellationToken cancellationToken) => bus.PublishAsync(
        EventTopics.Results,
        new CloudEvent
        {
            Id = record.Id,
            Source = Source,
            Type = "dev.serverless.request." + RequestObject.Word(record.Status),
            Subject = record.Id,
            Time = record.EndedAt ?? time.GetUtcNow(),
            TraceParent = record.Origin?.TraceParent,
            Data = RequestObject.Encode(record),
        },
        cancellationToken);
}
