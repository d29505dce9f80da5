using System.Globalization;
using System.Text;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Inbound;

/// <summary>The data of an event that asks for a request: <c>{"endpoint": "/v1/chat/completions", "body": {…}, …}</c>. Fields that are not known are passed over: another release's.</summary>
internal sealed record EventPayload
{
    private const string Example = """{"endpoint": "/v1/chat/completions", "body": {"model": …, "messages": […]}}""";

    private const int LongestMetadata = 16 * 1024;
    private const int LongestConversation = 128;

    /// <summary>Which API takes the body.</summary>
    public required ApiEndpoint Endpoint { get; init; }

    /// <summary>As the endpoint takes it, byte for byte but for the model, where that stands beside it.</summary>
    public required byte[] Body { get; init; }

    /// <summary>Given back with the result; or null.</summary>
    public JsonElement? Metadata { get; init; }

    /// <summary>Whose it is; null: the owner of all events.</summary>
    public (string Organization, string Team)? Owner { get; init; }

    /// <summary>The lane it asks for; null: as the body says.</summary>
    public Lane? Priority { get; init; }

    /// <summary>When its answer is not wanted any more; null: as the gateway has it.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Events with the same value are taken in order, and run one at a time.</summary>
    public string? Conversation { get; init; }

    /// <summary>The topic on which its end is told too; null: on that of all results alone.</summary>
    public string? ReplyTo { get; init; }

    /// <summary>Whether its output is told there while it is made.</summary>
    public bool Deltas { get; init; }

    /// <summary>Whom to call when it has ended, as it came; null: nobody.</summary>
    public string? Callback { get; init; }

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

            var bytes = Encoding.UTF8.GetBytes(body.GetRawText());
            var (replyTo, deltas) = (Text(root, "replyTo"), ReadDeltas(root));
            if (deltas && replyTo is null) throw Faulty("'deltas' are wanted, and 'replyTo' does not say on which topic; name one.", "replyTo");

            return new EventPayload
            {
                Endpoint = endpoint,
                Body = Text(root, "model") is { } model ? ModelField.Set(bytes, model) : bytes,
                Metadata = ReadMetadata(root),
                Owner = Text(root, "owner") is { } owner ? EventOptions.ReadOwner(owner) ?? throw Faulty($"'owner' is '{Shown(owner)}'; it must be ORGANIZATION/TEAM, such as 'acme/research'.", "owner") : null,
                Priority = Text(root, "priority") is { } priority ? ReadLane(priority) : null,
                Deadline = Text(root, "deadline") is { } deadline ? ReadDeadline(deadline) : null,
                Conversation = Text(root, "conversation") is { } conversation ? ReadConversation(conversation) : null,
                ReplyTo = replyTo,
                Deltas = deltas,
                Callback = Text(root, "callback"),
            };
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

        return JsonElement.Parse(JsonBody.Encode(metadata.WriteTo)); // read whole: half of a surrogate pair in it would be found when it is kept
    }

    /// <summary>Null: it is not there.</summary>
    private static string? Text(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : throw Faulty($"'{name}' must be a text that is not empty. Leave it out for none.", name);
    }

    private static bool ReadDeltas(JsonElement root)
    {
        if (!root.TryGetProperty("deltas", out var value) || value.ValueKind is JsonValueKind.Null or JsonValueKind.False) return false;
        return value.ValueKind == JsonValueKind.True ? true : throw Faulty("'deltas' must be true or false.", "deltas");
    }

    private static Lane ReadLane(string name) => Lanes.TryParse(name, out var lane) ? lane : throw Faulty($"'priority' is '{Shown(name)}'; it must be realtime, interactive or batch.", "priority");

    private static DateTimeOffset ReadDeadline(string text) =>
        text.Contains('T', StringComparison.OrdinalIgnoreCase) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : throw Faulty($"'deadline' is '{Shown(text)}'; it must be a time as RFC 3339 has it, such as '2026-01-02T03:04:05Z'.", "deadline");

    private static string ReadConversation(string text) =>
        text.Length <= LongestConversation ? text : throw Faulty($"'conversation' has {text.Length} characters; it must have 1 to {LongestConversation}.", "conversation");

    private static string Shown(string value) => value.Length > 64 ? value[..64] + "…" : value;

    private static ServingException Faulty(string message, string? param) => new(new ServingFault(ServingError.InvalidRequest, message, param));
}
