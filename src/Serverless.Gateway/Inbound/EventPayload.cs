using System.Text;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Inbound;

/// <summary>The data of an event that asks for a request: <c>{"endpoint": "/v1/chat/completions", "body": {…}, "metadata": {…}}</c>.</summary>
/// <param name="Endpoint">Which API takes the body.</param>
/// <param name="Body">As the endpoint takes it, byte for byte.</param>
/// <param name="Metadata">Given back with the result; or null.</param>
internal sealed record EventPayload(ApiEndpoint Endpoint, byte[] Body, JsonElement? Metadata)
{
    private const string Example = """{"endpoint": "/v1/chat/completions", "body": {"model": …, "messages": […]}}""";

    private const int LongestMetadata = 16 * 1024;

    /// <exception cref="ServingException">It is not that.</exception>
    public static EventPayload Parse(ReadOnlyMemory<byte> data)
    {
        try
        {
            using var json = JsonDocument.Parse(data);
            var root = json.RootElement;
            if (root.ValueKind == JsonValueKind.String) throw Faulty($"The event's data is a text; send it as JSON, with 'datacontenttype' \"application/json\" and 'data' {Example}.", null);
            if (root.ValueKind != JsonValueKind.Object) throw Faulty($"The event's data must be an object such as {Example}.", null);

            var path = root.TryGetProperty("endpoint", out var named) && named.ValueKind == JsonValueKind.String ? named.GetString() : null;
            var endpoint = ApiEndpoint.ByPath(path) ?? throw Faulty($"'endpoint' must be {string.Join(" or ", ApiEndpoint.All.Select(row => $"'{row.Path}'"))}.", "endpoint");
            if (!root.TryGetProperty("body", out var body) || body.ValueKind != JsonValueKind.Object) throw Faulty("'body' must be the object that the endpoint takes.", "body");

            return new EventPayload(endpoint, Raw(body), ReadMetadata(root));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the second: a text that is no Unicode
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, "The event's data is not valid JSON."), e);
        }
    }

    private static JsonElement? ReadMetadata(JsonElement root)
    {
        if (!root.TryGetProperty("metadata", out var metadata) || metadata.ValueKind == JsonValueKind.Null) return null;
        if (metadata.ValueKind != JsonValueKind.Object || metadata.GetRawText().Length > LongestMetadata)
        {
            throw Faulty($"'metadata' must be an object of at most {LongestMetadata} characters.", "metadata");
        }

        return metadata.Clone();
    }

    private static byte[] Raw(JsonElement body) => Encoding.UTF8.GetBytes(body.GetRawText());

    private static ServingException Faulty(string message, string? param) => new(new ServingFault(ServingError.InvalidRequest, message, param));
}
