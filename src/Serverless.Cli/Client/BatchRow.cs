using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>A batch as <c>GET /v1/batches/{id}</c> tells it, and as it came.</summary>
internal sealed record BatchRow(
    string Id, string Status, string Endpoint, string? Model, int Total, int Completed, int Failed, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, string InputFileId, string? OutputFileId, string? ErrorFileId, IReadOnlyList<string> Errors, JsonElement Json)
{
    /// <summary>Whether nothing of it changes any more.</summary>
    public bool HasEnded => Status is "completed" or "failed" or "expired" or "cancelled";

    /// <summary>Lines that are answered or failed.</summary>
    public int Done => Completed + Failed;

    public static BatchRow Of(JsonElement batch)
    {
        var counts = batch.GetProperty("request_counts");
        return new BatchRow(
            batch.GetProperty("id").GetString()!,
            batch.GetProperty("status").GetString()!,
            batch.GetProperty("endpoint").GetString()!,
            Text(batch, "model"),
            counts.GetProperty("total").GetInt32(),
            counts.GetProperty("completed").GetInt32(),
            counts.GetProperty("failed").GetInt32(),
            DateTimeOffset.FromUnixTimeSeconds(batch.GetProperty("created_at").GetInt64()),
            DateTimeOffset.FromUnixTimeSeconds(batch.GetProperty("expires_at").GetInt64()),
            batch.GetProperty("input_file_id").GetString()!,
            Text(batch, "output_file_id"),
            Text(batch, "error_file_id"),
            batch.TryGetProperty("errors", out var errors) && errors.ValueKind == JsonValueKind.Object ? [.. errors.GetProperty("data").EnumerateArray().Select(Error)] : [],
            batch.Clone());
    }

    private static string? Text(JsonElement batch, string name) => batch.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string Error(JsonElement error) =>
        $"{(error.TryGetProperty("line", out var line) && line.ValueKind == JsonValueKind.Number ? $"line {line.GetInt32()}: " : "")}{error.GetProperty("message").GetString()} ({error.GetProperty("code").GetString()})";
}
