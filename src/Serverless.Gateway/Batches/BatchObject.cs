using System.Text.Json;
using Serverless.Batches;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Batches;

/// <summary>Batches as OpenAI writes them: what is not there is null.</summary>
internal static class BatchObject
{
    public static byte[] Encode(Batch batch) => JsonBody.Encode(json => Write(json, batch));

    /// <summary>As it is told: whose it is, too.</summary>
    public static byte[] EncodeNotice(Batch batch) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        WriteFields(json, batch);
        json.WriteString("organization", batch.Owner.Organization);
        json.WriteString("team", batch.Owner.Team);
        json.WriteEndObject();
    });

    public static byte[] EncodeList(IReadOnlyList<Batch> page, bool hasMore) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString(Names.Object, "list");
        json.WriteStartArray("data");
        foreach (var batch in page) Write(json, batch);
        json.WriteEndArray();
        json.WriteString("first_id", page.Count > 0 ? page[0].Id : null);
        json.WriteString("last_id", page.Count > 0 ? page[^1].Id : null);
        json.WriteBoolean("has_more", hasMore);
        json.WriteEndObject();
    });

    private static void Write(Utf8JsonWriter json, Batch batch)
    {
        json.WriteStartObject();
        WriteFields(json, batch);
        json.WriteEndObject();
    }

    private static void WriteFields(Utf8JsonWriter json, Batch batch)
    {
        json.WriteString(Names.Id, batch.Id);
        json.WriteString(Names.Object, "batch");
        json.WriteString("endpoint", batch.Endpoint);
        json.WriteString(Names.Model, batch.Model);
        WriteErrors(json, batch);
        json.WriteString("input_file_id", batch.InputFileId);
        json.WriteString("completion_window", batch.CompletionWindow);
        json.WriteString("status", BatchDirectory.Word(batch.Status));
        json.WriteString("output_file_id", batch.OutputFileId);
        json.WriteString("error_file_id", batch.ErrorFileId);
        WriteTime(json, "created_at", batch.CreatedAt);
        WriteTime(json, "in_progress_at", batch.InProgressAt);
        WriteTime(json, "expires_at", batch.ExpiresAt);
        WriteTime(json, "finalizing_at", batch.FinalizingAt);
        WriteTime(json, "completed_at", batch.Status == BatchStatus.Completed ? batch.EndedAt : null);
        WriteTime(json, "failed_at", batch.Status == BatchStatus.Failed ? batch.EndedAt : null);
        WriteTime(json, "expired_at", batch.Status == BatchStatus.Expired ? batch.EndedAt : null);
        WriteTime(json, "cancelling_at", batch.CancellingAt);
        WriteTime(json, "cancelled_at", batch.Status == BatchStatus.Cancelled ? batch.EndedAt : null);
        json.WriteStartObject("request_counts");
        json.WriteNumber("total", batch.Progress.Total);
        json.WriteNumber("completed", batch.Progress.Completed);
        json.WriteNumber("failed", batch.Progress.Failed);
        json.WriteEndObject();
        WriteUsage(json, batch.Progress);
        json.WritePropertyName("metadata");
        if (batch.Metadata is { } metadata) metadata.WriteTo(json);
        else json.WriteNullValue();
    }

    private static void WriteErrors(Utf8JsonWriter json, Batch batch)
    {
        if (batch.Errors.Count == 0)
        {
            json.WriteNull("errors");
            return;
        }

        json.WriteStartObject("errors");
        json.WriteString(Names.Object, "list");
        json.WriteStartArray("data");
        foreach (var error in batch.Errors)
        {
            json.WriteStartObject();
            json.WriteString("code", error.Code);
            json.WriteString(Names.Message, error.Message);
            json.WriteString("param", error.Param);
            if (error.Line is { } line) json.WriteNumber("line", line);
            else json.WriteNull("line");
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, BatchProgress progress)
    {
        json.WriteStartObject(Names.Usage);
        json.WriteNumber("input_tokens", progress.InputTokens);
        json.WriteStartObject("input_tokens_details");
        json.WriteNumber(Names.CachedTokens, progress.CachedTokens);
        json.WriteEndObject();
        json.WriteNumber("output_tokens", progress.OutputTokens);
        json.WriteStartObject("output_tokens_details");
        json.WriteNumber("reasoning_tokens", 0);
        json.WriteEndObject();
        json.WriteNumber(Names.TotalTokens, progress.InputTokens + progress.OutputTokens);
        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, DateTimeOffset? time)
    {
        if (time is { } at) json.WriteNumber(name, at.ToUnixTimeSeconds());
        else json.WriteNull(name);
    }
}
