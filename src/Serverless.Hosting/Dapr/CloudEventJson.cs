using System.Globalization;
using System.Text.Json;
using Serverless.Events;

namespace Serverless.Hosting.Dapr;

/// <summary>CloudEvents 1.0 in their JSON format, as daprd delivers them.</summary>
internal static class CloudEventJson
{
    public const string ContentType = "application/cloudevents+json";

    /// <exception cref="InvalidDataException">It is no CloudEvent; the message says why.</exception>
    public static CloudEvent Decode(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var json = JsonDocument.Parse(bytes);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new InvalidDataException($"The event is a JSON {root.ValueKind}; a CloudEvent is an object.");

            return new CloudEvent
            {
                Id = Required(root, "id"),
                Source = Required(root, "source"),
                Type = Required(root, "type"),
                Subject = Optional(root, "subject"),
                Time = Optional(root, "time") is { } time && DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, out var parsed) ? parsed : null,
                TraceParent = Optional(root, "traceparent"),
                Data = Data(root),
            };
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException) // the last: a text that is no Unicode
        {
            throw new InvalidDataException($"The event is not JSON: {exception.Message}", exception);
        }
    }

    private static ReadOnlyMemory<byte> Data(JsonElement root)
    {
        if (root.TryGetProperty("data_base64", out var encoded) && encoded.ValueKind == JsonValueKind.String) return encoded.GetBytesFromBase64();
        return root.TryGetProperty("data", out var data) && data.ValueKind != JsonValueKind.Null ? JsonSerializer.SerializeToUtf8Bytes(data) : default;
    }

    private static string Required(JsonElement root, string name) =>
        Optional(root, name) is { Length: > 0 } value ? value : throw new InvalidDataException($"The event's '{name}' is missing or empty; CloudEvents 1.0 require it.");

    private static string? Optional(JsonElement root, string name) => root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
