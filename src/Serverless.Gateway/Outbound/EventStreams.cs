using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Deltas;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Outbound;

/// <summary>
/// Output as events, while it is made: type <c>dev.serverless.request.delta</c>, on the topic that the request's event named. What is to be told lies in the broker as an event among gateways until
/// it is at its end. Where it goes to stands in the request's record, not in that event: whoever may publish sends nobody's output anywhere (ADR 21). Thread-safe.
/// </summary>
internal sealed partial class EventStreams(DeltaFollower deltas, RequestRecords records, IEventBus bus, TimeProvider time, ILogger<EventStreams> logger) : IEventHandler
{
    private const string DeltaType = "dev.serverless.request.delta";
    private const string StreamType = "dev.serverless.stream";

    /// <summary>A delta that the bus does not take for longer, a minute about, goes back to the broker with all that follow it.</summary>
    private const int MostTries = 12;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    public IReadOnlyList<string> Topics { get; } = [EventTopics.Streams];

    public int AtOnce => 256;

    /// <summary>The output of this request is to be told, by whichever gateway takes that up.</summary>
    /// <exception cref="ServingException">The bus did not take it.</exception>
    public ValueTask StartAsync(Owner owner, RequestId id, CancellationToken cancellationToken) => PublishAsync(owner, id.Value, 0, cancellationToken);

    public async ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        if (Read(cloudEvent) is not var (owner, id, after)) return BrokerVerdict.Refused(new ServingFault(ServingError.MalformedMessage, "It names no stream of ours."));
        if (await records.FindAsync(owner, new RequestId(id), cancellationToken) is not { Record: { Origin: { Deltas: true, ReplyTo: { } topic } } record }) return BrokerVerdict.Done;

        if (await deltas.FollowAsync(record.Owner, new RequestId(id), after, (delta, token) => SendAsync(topic, record, delta, token), cancellationToken) is { } sent)
        {
            LogHandedOn(id, sent);
            await PublishAsync(owner, id, sent, cancellationToken);
        }

        return BrokerVerdict.Done;
    }

    /// <summary>Confirmed before the next one.</summary>
    private async Task<bool> SendAsync(string topic, RequestRecord record, OutputDelta delta, CancellationToken cancellationToken)
    {
        var told = new CloudEvent
        {
            Id = string.Create(CultureInfo.InvariantCulture, $"{record.Id}.{delta.Sequence}"),
            Source = ResultEvents.Source,
            Type = DeltaType,
            Subject = record.Id,
            Time = time.GetUtcNow(),
            TraceParent = record.Origin?.TraceParent,
            Data = DataOf(record, delta),
        };
        await StoreRetry.RunAsync(time, () => bus.PublishAsync(topic, told, cancellationToken).AsTask(), cancellationToken, MostTries, new Backoff(FirstPause, LongestPause));
        return true;
    }

    private static byte[] DataOf(RequestRecord record, OutputDelta delta) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", record.Id);
        json.WriteString("object", "request.delta");
        json.WriteNumber("sequence", delta.Sequence);
        json.WriteNumber("choice", delta.Choice);
        json.WriteString("text", delta.Text);
        json.WritePropertyName("chunk");
        if (delta.Body is { } chunk) json.WriteRawValue(chunk, skipInputValidation: true);
        else json.WriteNullValue();
        json.WriteBoolean("last", delta.IsLast);
        json.WritePropertyName("error");
        if (delta.Fault is { } fault) JsonElement.Parse(ErrorBody.Encode(fault)).GetProperty("error").WriteTo(json);
        else json.WriteNullValue();
        json.WriteStartObject("event");
        json.WriteString("source", record.Origin!.Source);
        json.WriteString("id", record.Origin.Id);
        json.WriteEndObject();
        json.WriteEndObject();
    });

    private ValueTask PublishAsync(Owner owner, string id, long after, CancellationToken cancellationToken) => bus.PublishAsync(
        EventTopics.Streams,
        new CloudEvent
        {
            Id = string.Create(CultureInfo.InvariantCulture, $"{id}.after.{after}"),
            Source = ResultEvents.Source,
            Type = StreamType,
            Subject = id,
            Time = time.GetUtcNow(),
            Data = JsonBody.Encode(json =>
            {
                json.WriteStartObject();
                json.WriteString("id", id);
                json.WriteString("organization", owner.Organization);
                json.WriteString("team", owner.Team);
                json.WriteNumber("after", after);
                json.WriteEndObject();
            }),
        },
        cancellationToken);

    /// <summary>Null: it is no stream.</summary>
    private static (Owner Owner, string Id, long After)? Read(CloudEvent cloudEvent)
    {
        try
        {
            using var json = JsonDocument.Parse(cloudEvent.Data);
            var root = json.RootElement;
            if (cloudEvent.Type != StreamType || root.GetProperty("id").GetString() is not { } id || root.GetProperty("organization").GetString() is not { } organization || root.GetProperty("team").GetString() is not { } team) return null;
            return (new Owner(organization, team, ""), id, Math.Max(0, root.GetProperty("after").GetInt64()));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            return null;
        }
    }

    [LoggerMessage(LogLevel.Debug, "The deltas of {Request} are handed on after {Sent}.")]
    private partial void LogHandedOn(string request, long sent);
}
