using System.Globalization;
using Dapr.Client;
using Microsoft.Extensions.Options;
using Serverless.Events;

namespace Serverless.Hosting.Dapr;

/// <summary>Events to other services by Dapr pub/sub. Thread-safe.</summary>
/// <remarks>daprd writes the envelope from what it is told here. An envelope of our own it does not leave as it is: it puts its own trace in. So only what has attributes that it does not write has one.</remarks>
internal sealed class DaprEventBus(DaprClient client, DaprCalls calls, IOptions<DaprOptions> options, EventTap? tap = null) : IEventBus
{
    private static readonly ReadOnlyMemory<byte> NoData = "null"u8.ToArray();

    private readonly string _pubSub = options.Value.PubSub;

    public async ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(cloudEvent);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["cloudevent.id"] = cloudEvent.Id,
            ["cloudevent.source"] = cloudEvent.Source,
            ["cloudevent.type"] = cloudEvent.Type,

            // For brokers that have such properties themselves (RabbitMQ), where whoever looks into a queue sees them.
            ["contentType"] = CloudEventJson.ContentType,
            ["messageID"] = cloudEvent.Id,
            ["type"] = cloudEvent.Type,
        };
        if (cloudEvent.Subject is { } subject) metadata["cloudevent.subject"] = subject;
        if (cloudEvent.Time is { } time) metadata["cloudevent.time"] = time.ToString("O", CultureInfo.InvariantCulture);
        if (cloudEvent.TraceParent is { } traceParent) metadata["cloudevent.traceparent"] = traceParent;
        await calls.RunAsync("The event broker", SendAsync, cancellationToken);
        tap?.Saw(topic, cloudEvent);

        async Task<bool> SendAsync(CancellationToken token)
        {
            if (cloudEvent.Extensions.Count == 0) await client.PublishByteEventAsync(_pubSub, topic, cloudEvent.Data.IsEmpty ? NoData : cloudEvent.Data, "application/json", metadata, token);
            else await client.PublishByteEventAsync(_pubSub, topic, CloudEventJson.Encode(cloudEvent), CloudEventJson.ContentType, metadata, token);
            return true;
        }
    }
}
