using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;
using Serverless.Batches;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Batches;

/// <summary>One request of a batch.</summary>
/// <param name="CustomId">Its client's name for it.</param>
/// <param name="Body">What it asks for.</param>
/// <param name="Model">The model that it names; null: none.</param>
internal readonly record struct BatchLine(string CustomId, byte[] Body, string? Model)
{
    private const int LongestId = 512;

    /// <summary>Reads a line; what is wrong with it is in <paramref name="error"/>.</summary>
    public static BatchLine? Read(byte[] text, int number, string endpoint, out BatchError? error)
    {
        error = null;
        try
        {
            if (!Utf8.IsValid(text)) throw new JsonException("it is no UTF-8.");

            using var json = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            var (root, line) = (json.RootElement, default(BatchLine));
            error = Check(root, number, endpoint);
            if (error is not null) return null;

            var body = root.GetProperty("body");
            line = new BatchLine(root.GetProperty("custom_id").GetString()!, JsonMarshal.GetRawUtf8Value(body).ToArray(), body.TryGetProperty("model", out var model) && model.ValueKind == JsonValueKind.String ? model.GetString() : null);
            return line;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException) // the second: a text that is no UTF-8, or half of a surrogate pair
        {
            error = new BatchError("invalid_json_line", text is [0x1F, 0x8B, ..] ? "The file is compressed (gzip); upload the JSON lines themselves." : $"This line is no valid JSON object: {exception.Message}", number);
            return null;
        }
    }

    /// <summary>An order in which lines whose bodies begin alike stand together. Whatever is in a line, it is one.</summary>
    public static int ByBeginning(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other) => BodyOf(one).SequenceCompareTo(BodyOf(other));

    /// <summary>From where its body's name stands, or what looks so; else all of it.</summary>
    private static ReadOnlySpan<byte> BodyOf(ReadOnlySpan<byte> line) => line.IndexOf("\"body\""u8) is var at and >= 0 ? line[at..] : line;

    private static BatchError? Check(JsonElement root, int number, string endpoint)
    {
        if (root.ValueKind != JsonValueKind.Object) return new BatchError("invalid_json_line", "This line is no JSON object.", number);
        if (!root.TryGetProperty("custom_id", out var id) || id.ValueKind != JsonValueKind.String || id.GetString() is not { Length: > 0 and <= LongestId })
            return new BatchError("invalid_custom_id", $"'custom_id' must be a text of 1 to {LongestId} characters.", number, "custom_id");
        if (!root.TryGetProperty("method", out var method) || method.ValueKind != JsonValueKind.String || method.GetString() != "POST") return new BatchError("invalid_method", "'method' must be 'POST'.", number, "method");
        if (!root.TryGetProperty("url", out var url) || url.ValueKind != JsonValueKind.String || url.GetString() is not { } path || ApiEndpoint.ByPath(path) is null || path != endpoint)
            return new BatchError("invalid_url", $"'url' must be '{endpoint}', the endpoint of the batch.", number, "url");
        if (!root.TryGetProperty("body", out var body) || body.ValueKind != JsonValueKind.Object) return new BatchError("invalid_request", "'body' must be an object: what the endpoint takes.", number, "body");
        return body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True ? new BatchError("invalid_request", "'stream' is true; what a batch is answered stands in a file. Leave it out.", number, "body.stream") : null;
    }
}
