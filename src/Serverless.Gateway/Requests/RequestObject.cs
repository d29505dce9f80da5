using System.Globalization;
using System.Text.Json;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Waiting;

namespace Serverless.Gateway.Requests;

/// <summary>A request as the API shows it: its record, or what its log knows of one that has none.</summary>
internal static class RequestObject
{
    /// <param name="record">The request.</param>
    /// <param name="waiting">What it waits for, while it does; null: not told.</param>
    public static byte[] Encode(RequestRecord record, (WaitEstimate Estimate, string Notice)? waiting = null) => JsonBody.Encode(json => Write(json, record, waiting));

    /// <summary>As its result event has it: with the proof of who published it.</summary>
    public static byte[] EncodeResult(RequestRecord record) => JsonBody.Encode(json => Write(json, record, null, record.Proof));

    /// <summary>A page of a list, as OpenAI's lists are.</summary>
    public static byte[] EncodeList(IReadOnlyList<RequestRecord> records, bool hasMore) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var record in records) Write(json, record, null);
        json.WriteEndArray();
        json.WriteString("first_id", records.Count > 0 ? records[0].Id : null);
        json.WriteString("last_id", records.Count > 0 ? records[^1].Id : null);
        json.WriteBoolean("has_more", hasMore);
        json.WriteEndObject();
    });

    public static string Word(RequestStatus status) => status switch
    {
        RequestStatus.Queued => "queued",
        RequestStatus.InProgress => "in_progress",
        RequestStatus.Completed => "completed",
        RequestStatus.Failed => "failed",
        RequestStatus.Cancelled => "cancelled",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "Give this status its word in RequestObject.Word."),
    };

    private static void Write(Utf8JsonWriter json, RequestRecord record, (WaitEstimate Estimate, string Notice)? waiting, string? proof = null)
    {
        json.WriteStartObject();
        json.WriteString("id", record.Id);
        json.WriteString("object", "request");
        json.WriteString("status", Word(record.Status));
        json.WriteNumber("created_at", record.CreatedAt.ToUnixTimeSeconds());
        json.WriteString("endpoint", ApiEndpoint.PathOf(record.Endpoint));
        json.WriteString("model", record.Model);
        json.WriteNumber("deadline_at", record.Deadline.ToUnixTimeSeconds());
        json.WritePropertyName("ended_at");
        if (record.EndedAt is { } ended) json.WriteNumberValue(ended.ToUnixTimeSeconds());
        else json.WriteNullValue();
        WriteElement(json, "response", record.Response);
        WriteElement(json, "error", record.Error);
        WriteElement(json, "metadata", record.Metadata);
        WriteOrigin(json, record.Origin);
        WriteCallback(json, record.Callback);
        json.WriteString("organization", record.Owner.Organization);
        json.WriteString("team", record.Owner.Team);
        if (waiting is { } queue) WriteWaiting(json, queue.Estimate, queue.Notice);
        if (proof is not null) json.WriteString("proof", proof);
        json.WriteEndObject();
    }

    private static void WriteElement(Utf8JsonWriter json, string name, JsonElement? value)
    {
        json.WritePropertyName(name);
        if (value is { } element) element.WriteTo(json);
        else json.WriteNullValue();
    }

    private static void WriteOrigin(Utf8JsonWriter json, EventOrigin? origin)
    {
        if (origin is null) return;

        json.WriteStartObject("event");
        json.WriteString("source", origin.Source);
        json.WriteString("id", origin.Id);
        json.WriteEndObject();
    }

    private static void WriteCallback(Utf8JsonWriter json, CallbackState? callback)
    {
        if (callback is null) return;

        json.WriteStartObject("callback");
        json.WriteString("url", callback.Url);
        json.WriteString("status", callback.Status switch { CallbackStatus.Delivered => "delivered", CallbackStatus.Failed => "failed", _ => "pending" });
        if (callback.Status != CallbackStatus.Pending) json.WriteNumber("attempts", callback.Attempts);
        if (callback.Error is { } error) json.WriteString("error", error);
        json.WriteEndObject();
    }

    private static void WriteWaiting(Utf8JsonWriter json, WaitEstimate estimate, string notice)
    {
        json.WriteStartObject("waiting");
        json.WriteNumber("tokens_ahead", estimate.TokensAhead);
        json.WritePropertyName("estimated_wait_ms");
        if (estimate.Expected is { } wait) json.WriteRawValue(wait.TotalMilliseconds.ToString("F0", CultureInfo.InvariantCulture));
        else json.WriteNullValue();
        json.WriteString("for", notice);
        json.WriteEndObject();
    }
}
