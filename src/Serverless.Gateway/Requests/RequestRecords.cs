using System.Text.Json;
using Microsoft.Extensions.Options;
using Serverless.Documents;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>The records of promised requests in the document store, by owner's scope: another's is simply not there. Thread-safe.</summary>
internal sealed class RequestRecords(IDocumentStore documents, IOptions<PromiseOptions> options, TimeProvider time)
{
    private const string Collection = "requests";

    public async ValueTask<StoredRecord?> FindAsync(Owner owner, RequestId id, CancellationToken cancellationToken)
    {
        if (id.Value.Contains('|', StringComparison.Ordinal)) return null;

        var document = await documents.GetAsync(Key(owner, id.Value), cancellationToken);
        return document is null ? null : new StoredRecord(JsonSerializer.Deserialize(document.Json.Span, RecordJson.Default.RequestRecord)!, document);
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
    public async ValueTask ForgetAsync(Owner owner, RequestId id, CancellationToken cancellationToken) =>
        await documents.DeleteAsync(Key(owner, id.Value), SaveCondition.Any, cancellationToken);

    /// <summary>The owner's ids, newest first, after one of them.</summary>
    public ValueTask<IReadOnlyList<string>> ListAsync(Owner owner, string? after, int limit, CancellationToken cancellationToken) =>
        documents.ListAsync(Collection, owner.Scope, after, limit, cancellationToken);

    private static DocumentKey Key(Owner owner, string id) => new(Collection, owner.Scope, id);

    private async ValueTask<bool> SaveAsync(RequestRecord record, SaveCondition condition, CancellationToken cancellationToken)
    {
        var left = record.HasEnded ? TimeSpan.Zero : record.Deadline - time.GetUtcNow();
        var keep = options.Value.KeepResults + (left > TimeSpan.Zero ? left : TimeSpan.Zero);
        var json = JsonSerializer.SerializeToUtf8Bytes(record, RecordJson.Default.RequestRecord);
        return await documents.SaveAsync(Key(record.Owner, record.Id), json, condition, keep, cancellationToken) is not null;
    }
}

/// <summary>A record and the document it was read from.</summary>
internal readonly record struct StoredRecord(RequestRecord Record, Document Document);
