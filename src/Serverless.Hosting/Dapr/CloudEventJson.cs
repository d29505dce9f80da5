using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Serverless.Events;

namespace Serverless.Hosting.Dapr;

/// <summary>CloudEvents 1.0 in their JSON format, as daprd delivers them.</summary>
public static class CloudEventJson
{
    /// <summary>What says so.</summary>
    public const string ContentType = "application/cloudevents+json";

    /// <summary>One of its bytes.</summary>
    /// <exception cref="InvalidDataException">It is no CloudEvent; the message says why.</exception>
    public static CloudEvent Decode(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var json = JsonDocument.Parse(bytes);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new InvalidDataException($"The event is a JSON {root.ValueKind}; a CloudEvent is an object.");

            return CloudEventAttributes.Read(Attributes(root), Data(root));
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException) // the last: a text that is no Unicode
        {
            throw new InvalidDataException($"The event is not JSON: {exception.Message}", exception);
        }
    }

    /// <summary>Data that is no JSON goes in base 64.</summary>
    public static byte[] Encode(CloudEvent cloudEvent)
    {
        var buffer = new ArrayBufferWriter<byte>(cloudEvent.Data.Length + 512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("specversion", "1.0");
            json.WriteString("id", cloudEvent.Id);
            json.WriteString("source", cloudEvent.Source);
            json.WriteString("type", cloudEvent.Type);
            if (cloudEvent.Subject is { } subject) json.WriteString("subject", subject);
            if (cloudEvent.Time is { } time) json.WriteString("time", time.ToString("O", CultureInfo.InvariantCulture));
            if (cloudEvent.TraceParent is { } trace) json.WriteString("traceparent", trace);
            foreach (var (name, value) in cloudEvent.Extensions) json.WriteString(name, value);
            WriteData(json, cloudEvent.Data);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteData(Utf8JsonWriter json, ReadOnlyMemory<byte> data)
    {
        if (data.IsEmpty) return;
        if (IsJson(data.Span))
        {
            json.WriteString("datacontenttype", "application/json");
            json.WritePropertyName("data");
            json.WriteRawValue(data.Span, skipInputValidation: true);
        }
        else
        {
            json.WriteString("datacontenttype", "application/octet-stream");
            json.WriteBase64String("data_base64", data.Span);
        }
    }

    private static bool IsJson(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data);
        try
        {
            return reader.Read() && reader.TrySkip() && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static Dictionary<string, string> Attributes(JsonElement root)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var property in root.EnumerateObject())
        {
            if (property.Name is "data" or "data_base64") continue;
            switch (property.Value.ValueKind)
            {
                case JsonValueKind.Null:
                    break;
                case JsonValueKind.String:
                    attributes[property.Name] = property.Value.GetString()!;
                    break;
                case JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False when property.Name is not ("id" or "source" or "type" or "subject" or "time" or "specversion"):
                    attributes[property.Name] = property.Value.GetRawText();
                    break;
                default:
                    throw new InvalidDataException($"The event's '{property.Name}' is a JSON {property.Value.ValueKind}; attributes are texts.");
            }
        }

        return attributes;
    }

    private static ReadOnlyMemory<byte> Data(JsonElement root)
    {
        var hasData = root.TryGetProperty("data", out var data) && data.ValueKind != JsonValueKind.Null;
        if (!root.TryGetProperty("data_base64", out var encoded) || encoded.ValueKind == JsonValueKind.Null) return hasData ? JsonSerializer.SerializeToUtf8Bytes(data) : default;
        if (hasData) throw new InvalidDataException("The event has both 'data' and 'data_base64'; CloudEvents 1.0 allow one of them.");
        return encoded.ValueKind == JsonValueKind.String && encoded.TryGetBytesFromBase64(out var bytes) ? bytes : throw new InvalidDataException("The event's 'data_base64' is no text in base 64.");
    }
}
