using System.Text.Json;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

/// <summary>
/// Reads our own results back. Only what came back is known to be with the broker: daprd reports a publish as done whose confirmation it never had, when its connection ends
/// meanwhile. Any gateway may see the result of any other. Thread-safe.
/// </summary>
internal sealed class ResultEcho(RequestRecords records) : IEventHandler
{
    public string Topic => EventTopics.Results;

    public async ValueTask<BrokerAnswer> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        if (cloudEvent.Source != ResultEvents.Source || OwnerOf(cloudEvent) is not { } owner) return BrokerAnswer.Acknowledge;

        try
        {
            while (await records.FindAsync(owner, new RequestId(cloudEvent.Id), cancellationToken) is { Record: { HasEnded: true, Published: false } } stored)
            {
                if (await records.ReplaceAsync(stored, stored.Record with { Published = true }, cancellationToken)) break;
            }

            return BrokerAnswer.Acknowledge;
        }
        catch (ServingException exception)
        {
            return ServingErrors.Row(exception.Fault.Error).Broker;
        }
    }

    private static Owner? OwnerOf(CloudEvent cloudEvent)
    {
        try
        {
            using var data = JsonDocument.Parse(cloudEvent.Data);
            return data.RootElement.ValueKind == JsonValueKind.Object && Text(data.RootElement, "organization") is { } organization && Text(data.RootElement, "team") is { } team
                ? new Owner(organization, team, "")
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Text(JsonElement data, string name) => data.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
