using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Ends of promised requests as events: type <c>dev.serverless.request.{completed|failed|cancelled}</c>, id and subject the request's id, data the request object. Thread-safe.
/// </summary>
internal sealed partial class ResultEvents(IEventBus bus, RequestRecords records, TimeProvider time, ILogger<ResultEvents> logger)
{
    /// <summary>Of all of them; an event of another source is somebody else's.</summary>
    public const string Source = "/serverless/gateway";

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private long _taken;

    /// <summary>How many the bus has taken so far.</summary>
    public long Taken => Interlocked.Read(ref _taken);

    /// <summary>
    /// Publishes a saved record's end and waits until it has come back (<see cref="ResultEcho"/>): the bus may say that it has an event which it has not.
    /// False: it did not come back in a few seconds and is to be published again; a result may so come twice, under the same id.
    /// </summary>
    /// <param name="record">The record.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="withResponse">Off: it goes without its response, which is larger than the bus takes and can be asked for.</param>
    public async Task<bool> PublishAsync(RequestRecord record, CancellationToken cancellationToken, bool withResponse = true)
    {
        await bus.PublishAsync(EventTopics.Results, EventOf(record, RequestObject.EncodeResult(withResponse ? record : record with { Response = null })), cancellationToken);
        Interlocked.Increment(ref _taken);
        for (var pause = FirstPause; pause < LongestPause; pause *= 2) // ADR 13
        {
            await Task.Delay(pause, time, cancellationToken);
            if (await records.FindAsync(record.Owner, new RequestId(record.Id), cancellationToken) is not { Record.Published: false }) return true;
        }

        LogUnseen(record.Id, EventTopics.Results);
        return false;
    }

    /// <summary>The end of a request as an event.</summary>
    public static CloudEvent EventOf(RequestRecord record, byte[] data) => new()
    {
        Id = record.Id,
        Source = Source,
        Type = "dev.serverless.request." + RequestObject.Word(record.Status),
        Subject = record.Id,
        Time = record.EndedAt,
        TraceParent = record.Origin?.TraceParent,
        Data = data,
    };

    [LoggerMessage(LogLevel.Warning, "The result of {Request} was published but has not come back on topic {Topic}, so it may be lost and is published again. If this goes on, the gateway has no subscription to that topic.")]
    private partial void LogUnseen(string request, string topic);
}

/// <summary>
/// Reads our own results back. Only what came back is known to be with the broker: daprd reports a publish as done whose confirmation it never had, when its connection ends
/// meanwhile. What does not bring the proof is not ours. Any gateway may see the result of any other. Thread-safe.
/// </summary>
internal sealed class ResultEcho(RequestRecords records) : IEventHandler
{
    public IReadOnlyList<string> Topics { get; } = [EventTopics.Results];

    public async ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        if (cloudEvent.Source != ResultEvents.Source || ReadResult(cloudEvent) is not { } result) return BrokerVerdict.Done;

        try
        {
            while (await records.FindAsync(result.Owner, new RequestId(cloudEvent.Id), cancellationToken) is { Record: { HasEnded: true, Published: false } } stored)
            {
                if (!IsProof(result.Proof, stored.Record.Proof)) return BrokerVerdict.Done; // somebody else's: the true one is still to come
                if (await records.ReplaceAsync(stored, stored.Record with { Published = true }, cancellationToken)) break;
            }

            return BrokerVerdict.Done;
        }
        catch (ServingException exception)
        {
            return BrokerVerdict.Of(exception.Fault);
        }
    }

    /// <summary>Whoever knows it has had the event of a gateway.</summary>
    private static bool IsProof(string? given, string? kept) => kept is null || CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given ?? ""), Encoding.UTF8.GetBytes(kept));

    private static (Owner Owner, string? Proof)? ReadResult(CloudEvent cloudEvent)
    {
        try
        {
            using var data = JsonDocument.Parse(cloudEvent.Data);
            return data.RootElement.ValueKind == JsonValueKind.Object && Text(data.RootElement, "organization") is { } organization && Text(data.RootElement, "team") is { } team
                ? (new Owner(organization, team, ""), Text(data.RootElement, "proof"))
                : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the second: a text that is no Unicode
        {
            return null;
        }
    }

    private static string? Text(JsonElement data, string name) => data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
