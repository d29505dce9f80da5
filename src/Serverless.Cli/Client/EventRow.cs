using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>An event as a gateway tells it, and as it came.</summary>
internal sealed record EventRow(string Topic, string Type, string About, DateTimeOffset? At, string? Detail, string? Missed, JsonElement Json)
{
    public static EventRow Of(JsonElement told) => new(
        Text(told, "topic") ?? "",
        told.GetProperty("type").GetString()!,
        Text(told, "subject") ?? told.GetProperty("id").GetString()!,
        told.TryGetProperty("time", out var time) && time.TryGetDateTimeOffset(out var at) ? at : null,
        told.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Object ? DetailOf(data) : Text(told, "deadletterreason"),
        Text(told, "missed"),
        told.Clone());

    /// <summary>What went wrong, or what was said.</summary>
    private static string? DetailOf(JsonElement data) =>
        data.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object ? Text(error, "message") : Text(data, "text");

    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>The request that an event asked for, and as it came.</summary>
internal sealed record EventRequestRow(string Id, string Status, string? Error, string? Answer, JsonElement Json)
{
    /// <summary>Whether nothing of it changes any more.</summary>
    public bool HasEnded => Status is "completed" or "failed" or "cancelled";

    public static EventRequestRow Of(JsonElement request) => new(
        request.GetProperty("id").GetString()!,
        request.GetProperty("status").GetString()!,
        request.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object ? error.GetProperty("message").GetString() : null,
        request.TryGetProperty("response", out var response) && response.ValueKind == JsonValueKind.Object ? AnswerOf(response.GetProperty("choices")[0]) : null,
        request.Clone());

    private static string? AnswerOf(JsonElement choice) => (choice.TryGetProperty("message", out var message) ? message.GetProperty("content") : choice.GetProperty("text")).GetString();
}
