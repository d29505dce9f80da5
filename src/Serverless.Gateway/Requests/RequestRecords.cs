using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Serverless.Documents;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>The records of promised requests in the document store, by owner's scope: another's is simply not there. Thread-safe.</summary>
internal sealed class RequestRecords(IDocumentStore documents, IOptions<PromiseOptions> options, TimeProvider time)
{
    private const string Collection = "requests";

    /// <summary>What lists show of those whose records have become large: beside them, so that a list reads no answers.</summary>
    private const string Summaries = "request-summaries";

    /// <summary>Bytes of the largest record that the store takes.</summary>
    public long MostBytes => documents.MaxDocumentBytes;

    public async ValueTask<StoredRecord?> FindAsync(Owner owner, RequestId id, CancellationToken cancellationToken)
    {
        if (id.Value.Contains('|', StringComparison.Ordinal)) return null;

        var document = await documents.GetAsync(Key(owner, id.Value), cancellationToken);
        return document is null ? null : new StoredRecord(JsonSerializer.Deserialize(document.Json.Span, RecordJson.Default.RequestRecord)!, document);
    }

    /// <summary>One without its answer, as lists show it.</summary>
    public async ValueTask<RequestRecord?> FindSummaryAsync(Owner owner, RequestId id, CancellationToken cancellationToken)
    {
        var summary = await documents.GetAsync(SummaryKey(owner, id.Value), cancellationToken);
        return summary is null ? null : JsonSerializer.Deserialize(summary.Json.Span, RecordJson.Default.RequestRecord);
    }

    /// <summary>Keeps a new one; one that is there stays as it is.</summary>
    public async ValueTask CreateAsync(RequestRecord record, CancellationToken cancellationToken) =>
        await SaveAsync(record, SaveCondition.New, cancellationToken);

    /// <summary>False if somebody else has written it meanwhile.</summary>
    public ValueTask<bool> ReplaceAsync(StoredRecord stored, RequestRecord by, CancellationToken cancellationToken) =>
        SaveAsync(by, SaveCondition.Unchanged(stored.Document), cancellationToken);

    /// <summary>False if there is one.</summary>
    public ValueTask<bool> TryCreateAsync(RequestRecord record, CancellationToken cancellationToken) => SaveAsync(record, SaveCondition.New, cancellationToken);

    /// <summary>Forgets one whose id was not given.</summary>
    public async ValueTask ForgetAsync(Owner owner, RequestId id, CancellationToken cancellationToken) => // it had no answer, so no summary
        await documents.DeleteAsync(Key(owner, id.Value), SaveCondition.Any, cancellationToken);

    /// <summary>The owner's ids, newest first, after one of them.</summary>
    public ValueTask<IReadOnlyList<string>> ListAsync(Owner owner, string? after, int limit, CancellationToken cancellationToken) =>
        documents.ListAsync(Collection, owner.Scope, after, limit, cancellationToken);

    /// <summary>Bytes of a record as it is stored.</summary>
    public static int SizeOf(RequestRecord record) => JsonSerializer.SerializeToUtf8Bytes(record, RecordJson.Default.RequestRecord).Length;

    /// <summary>Why a record is not kept.</summary>
    public static ServingFault TooLarge(string id, int bytes, string why) => new(
        ServingError.OutputTooLarge,
        string.Create(CultureInfo.InvariantCulture, $"The result of request '{id}' is {bytes} bytes, and {why}, so it is not kept. Ask for fewer choices ('n'), tokens or 'top_logprobs', or read it as a stream; an operator raises what the store takes (Dapr:MaxMessageBytes and the sidecar's max-body-size)."));

    private static DocumentKey SummaryKey(Owner owner, string id) => new(Summaries, owner.Scope, id) { IsUnlisted = true };

    private static DocumentKey Key(Owner owner, string id) => new(Collection, owner.Scope, id);

    private async ValueTask<bool> SaveAsync(RequestRecord record, SaveCondition condition, CancellationToken cancellationToken)
    {
        var left = record.HasEnded ? TimeSpan.Zero : record.Deadline - time.GetUtcNow();
        var keep = options.Value.KeepResults + (left > TimeSpan.Zero ? left : TimeSpan.Zero);
        var json = JsonSerializer.SerializeToUtf8Bytes(record, RecordJson.Default.RequestRecord);
        if (json.Length > documents.MaxDocumentBytes) throw new ServingException(TooLarge(record.Id, json.Length, $"the document store takes {documents.MaxDocumentBytes} at most"));
        if (await documents.SaveAsync(Key(record.Owner, record.Id), json, condition, keep, cancellationToken) is null) return false;

        if (record.Response is not null)
        {
            var summary = JsonSerializer.SerializeToUtf8Bytes(record with { Response = null }, RecordJson.Default.RequestRecord);
            await documents.SaveAsync(SummaryKey(record.Owner, record.Id), summary, SaveCondition.Any, keep, cancellationToken);
        }

        return true;
    }
}

/// <summary>A record and the document it was read from.</summary>
internal readonly record struct StoredRecord(RequestRecord Record, Document Document);
