using System.Text.Json;
using Serverless.Documents;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Batches;

/// <summary>
/// Batches by their owner, and those that are not at their end, of all. One is there from the moment its document is; before that it is named among those to be run, so a crash in between leaves
/// a name without a batch, never a batch that nobody runs. Thread-safe.
/// </summary>
public sealed class BatchDirectory(IDocumentStore documents, TimeProvider time)
{
    private const string Collection = "batches";
    private const string Open = "open-batches";

    /// <summary>The tenant under which those to be run are listed: of no organization.</summary>
    private const string Everyone = "all";

    /// <summary>Documents read at a time.</summary>
    private const int AtOnce = 16;

    /// <summary>Names read of the index of open ones at a time.</summary>
    private const int OpenPage = 1000;

    /// <summary>So long a batch is remembered after its end.</summary>
    private static readonly TimeSpan Keep = TimeSpan.FromDays(30);

    /// <summary>A name is older than this before it is given up as one without a batch.</summary>
    private static readonly TimeSpan Creation = TimeSpan.FromMinutes(5);

    /// <summary>Keeps a new one. False: there is one of its name already, which stays as it is.</summary>
    /// <exception cref="ServingException">The store is away: it is not known whether it is there.</exception>
    public async ValueTask<bool> CreateAsync(Batch batch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(batch);
        await OpenAsync(batch, cancellationToken);
        if (await documents.SaveAsync(Key(batch.Owner.Scope, batch.Id), Encode(batch), SaveCondition.New, null, cancellationToken) is null) return false;
        if (time.GetUtcNow() - batch.CreatedAt > Creation / 2) await OpenAsync(batch with { CreatedAt = time.GetUtcNow() }, cancellationToken); // its name may have been given up meanwhile
        return true;
    }

    /// <summary>The batch.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.BatchNotFound"/>: it is not there for this owner.</exception>
    public async ValueTask<Batch> GetAsync(Owner owner, string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(owner);
        return await FindAsync(owner.Scope, id, cancellationToken) ?? throw Unknown(id);
    }

    /// <summary>The batch, or null.</summary>
    public async ValueTask<Batch?> FindAsync(string scope, string id, CancellationToken cancellationToken) =>
        BatchId.TryParse(id, out _) && await documents.GetAsync(Key(scope, id), cancellationToken) is { } document ? Decode(document) : null;

    /// <summary>The owner's batches, newest first, and whether there are more.</summary>
    /// <exception cref="ServingException">The cursor names none of them.</exception>
    public async ValueTask<(IReadOnlyList<Batch> Page, bool HasMore)> ListAsync(Owner owner, string? after, int limit, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(owner);
        if (after is not null && await FindAsync(owner.Scope, after, cancellationToken) is null)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"'after' is '{Shown(after)}', which is no batch of yours (any more); begin again without it.", "after"));
        }

        var page = new List<Batch>();
        while (await documents.ListAsync(Collection, owner.Scope, after, limit + 1, cancellationToken) is { Count: > 0 } ids)
        {
            foreach (var some in ids.Chunk(AtOnce)) page.AddRange((await Task.WhenAll(some.Select(id => FindAsync(owner.Scope, id, cancellationToken).AsTask()))).OfType<Batch>());
            if (page.Count > limit) return (page[..limit], true);
            if (ids.Count <= limit) break;
            after = ids[^1];
        }

        return (page, false);
    }

    /// <summary>Changes a batch, whoever else changes it meanwhile. Null: it is gone, or <paramref name="change"/> says that it is not to be changed; else as it is now.</summary>
    /// <param name="scope">Of its owner.</param>
    /// <param name="id">Which.</param>
    /// <param name="change">As it becomes, or null; may be asked several times.</param>
    /// <param name="cancellationToken">Stops waiting; it may have been changed.</param>
    public async ValueTask<Batch?> UpdateAsync(string scope, string id, Func<Batch, Batch?> change, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(change);
        while (await documents.GetAsync(Key(scope, id), cancellationToken) is { } document)
        {
            var before = Decode(document);
            if (change(before) is not { } changed) return null;
            if (ReferenceEquals(changed, before)) return before;
            if (await documents.SaveAsync(document.Key, Encode(changed), SaveCondition.Unchanged(document), changed.HasEnded ? Keep : null, cancellationToken) is not null) return changed;
        }

        return null;
    }

    /// <summary>Gives a batch up. One that nobody has begun to run is cancelled with that; one that is being given up, or was, stays as it is.</summary>
    /// <exception cref="ServingException">It is not there, or has come to another end.</exception>
    public async ValueTask<Batch> CancelAsync(Owner owner, string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(owner);
        if (!BatchId.TryParse(id, out _)) throw Unknown(id);
        var cancelled = await UpdateAsync(owner.Scope, id, Cancelled, cancellationToken) ?? throw Unknown(id);
        if (cancelled is { Status: BatchStatus.Cancelled, Progress.Epoch: 0 }) await CloseAsync(id, cancellationToken); // nobody has kept anything for it
        return cancelled;

        Batch Cancelled(Batch batch) => batch.Status switch
        {
            BatchStatus.Cancelling or BatchStatus.Cancelled => batch,
            _ when batch.HasEnded => throw new ServingException(new ServingFault(
                ServingError.InvalidRequest, $"Batch '{id}' has the status '{Word(batch.Status)}' and cannot be cancelled; only one that is not at its end can.", "batch_id")),
            _ when batch.Progress.Epoch == 0 => batch with { Status = BatchStatus.Cancelled, CancellingAt = time.GetUtcNow(), EndedAt = time.GetUtcNow() },
            _ => batch with { Status = BatchStatus.Cancelling, CancellingAt = time.GetUtcNow() },
        };
    }

    /// <summary>Ids of those that are not at their end, of all owners.</summary>
    public async ValueTask<IReadOnlyList<string>> ListOpenAsync(CancellationToken cancellationToken)
    {
        var all = new List<string>();
        while (await documents.ListAsync(Open, Everyone, all.Count == 0 ? null : all[^1], OpenPage, cancellationToken) is { Count: > 0 } page)
        {
            all.AddRange(page);
            if (page.Count < OpenPage) break;
        }

        return all;
    }

    /// <summary>One that is not at its end; null: it is, or never was.</summary>
    public async ValueTask<OpenBatch?> FindOpenAsync(string id, CancellationToken cancellationToken) =>
        await documents.GetAsync(OpenKey(id), cancellationToken) is { } document ? JsonSerializer.Deserialize(document.Json.Span, BatchJson.Default.OpenBatch) : null;

    /// <summary>Whether it is not at its end, or may be created yet.</summary>
    public async ValueTask<bool> IsOpenAsync(string id, CancellationToken cancellationToken) => await documents.GetAsync(OpenKey(id), cancellationToken) is not null;

    /// <summary>The batch that stands behind the name of an open one. Null: there is none; the name is given up, unless its batch may come yet.</summary>
    public async ValueTask<Batch?> FindAsync(OpenBatch open, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(open);
        var batch = await FindAsync(open.Scope, open.Id, cancellationToken);
        if (batch is null && time.GetUtcNow() - open.CreatedAt > Creation) await CloseAsync(open.Id, cancellationToken);
        return batch;
    }

    /// <summary>It is at its end, and nothing of it is left to be done.</summary>
    public async ValueTask CloseAsync(string id, CancellationToken cancellationToken) => await documents.DeleteAsync(OpenKey(id), SaveCondition.Any, cancellationToken);

    /// <summary>A status as it is written.</summary>
    public static string Word(BatchStatus status) => JsonNamingPolicy.SnakeCaseLower.ConvertName(status.ToString());

    private async ValueTask OpenAsync(Batch batch, CancellationToken cancellationToken)
    {
        var open = new OpenBatch(batch.Id, batch.Owner.Organization, batch.Owner.Scope, batch.CreatedAt, batch.ExpiresAt);
        await documents.SaveAsync(OpenKey(batch.Id), JsonSerializer.SerializeToUtf8Bytes(open, BatchJson.Default.OpenBatch), SaveCondition.Any, null, cancellationToken);
    }

    private static DocumentKey Key(string scope, string id) => new(Collection, scope, id);

    private static DocumentKey OpenKey(string id) => new(Open, Everyone, id);

    private static byte[] Encode(Batch batch) => JsonSerializer.SerializeToUtf8Bytes(batch, BatchJson.Default.Batch);

    private static Batch Decode(Document document) => JsonSerializer.Deserialize(document.Json.Span, BatchJson.Default.Batch)!;

    private static ServingException Unknown(string id) => new(new ServingFault(ServingError.BatchNotFound, $"No batch found with id '{Shown(id)}'.", "batch_id"));

    private static string Shown(string id) => id.Length <= 64 ? id : id[..64] + "…";
}
