using System.Buffers;
using System.Text.Json;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary>An event to be sent: as it is where it is one, else made of its data.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Json">In its JSON format.</param>
internal sealed record SentEvent(string Id, byte[] Json)
{
    private const string DefaultSource = "/serverless/cli";
    private const string DefaultType = "dev.serverless.request.asked";

    /// <summary>Reads what is to be sent.</summary>
    /// <param name="text">An event, or the data of one.</param>
    /// <param name="name">Where that is from.</param>
    /// <param name="id">Its id; null: its own, or a new one.</param>
    /// <param name="source">Its source; null: its own, or this tool.</param>
    /// <param name="type">Its type; null: its own, or one of requests.</param>
    /// <exception cref="ToolException">It is neither.</exception>
    public static SentEvent Read(string text, string name, string? id, string? source, string? type)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new ToolException($"{name} holds a JSON {root.ValueKind}; give an object: a CloudEvent, or its data.");

            var isEvent = root.TryGetProperty("specversion", out _);
            var own = isEvent ? root : default;
            var named = id ?? Text(own, "id") ?? $"cli-{Guid.CreateVersion7():n}";
            return new SentEvent(named, Encode(root, isEvent, named, source ?? Text(own, "source") ?? DefaultSource, type ?? Text(own, "type") ?? DefaultType));
        }
        catch (JsonException exception)
        {
            throw new ToolException($"{name} is no JSON: {exception.Message} Give a CloudEvent in its JSON format, or the data of one.", exception);
        }
    }

    private static byte[] Encode(JsonElement root, bool isEvent, string id, string source, string type)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (!isEvent) json.WriteString("specversion", "1.0");
            json.WriteString("id", id);
            json.WriteString("source", source);
            json.WriteString("type", type);
            if (isEvent)
            {
                foreach (var property in root.EnumerateObject().Where(property => property.Name is not ("id" or "source" or "type"))) property.WriteTo(json);
            }
            else
            {
                json.WritePropertyName("data");
                root.WriteTo(json);
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static string? Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
