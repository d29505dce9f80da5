using System.Globalization;
using System.Text.Json;
using Serverless.Documents;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Files;

/// <summary>
/// Files by their owner. A file is there from the moment its document is, which is after its bytes are durable, and until its document is gone, which is before its bytes are: no file lacks
/// bytes, and bytes without a file are swept (<see cref="FileSweep"/>; ADR 17). Another team's file is not there. Thread-safe.
/// </summary>
public sealed class FileDirectory(IFileStore store, IDocumentStore documents, FileLimits limits, TimeProvider time)
{
    internal const string Collection = "files";

    /// <summary>Ids read of the index at a time.</summary>
    private const int IndexPage = 500;

    /// <summary>Documents read at a time.</summary>
    private const int AtOnce = 16;

    private readonly FileUsage _usage = new(documents, limits, time);

    /// <summary>The bounds that hold.</summary>
    public FileLimits Limits => limits;

    /// <summary>Refuses before bytes are received, where it is known that there is no room for so many.</summary>
    /// <exception cref="ServingException">There is none.</exception>
    public ValueTask RequireRoomAsync(Owner owner, long bytes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(owner);
        return _usage.RequireRoomAsync(owner.Scope, bytes, cancellationToken);
    }

    /// <summary>Keeps the bytes. They are no file before <see cref="PublishAsync"/>.</summary>
    /// <param name="owner">Whose.</param>
    /// <param name="id">Of the file that may come of it.</param>
    /// <param name="content">Read once.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <param name="maxBytes">The longest that is kept; null: as of a client's.</param>
    /// <exception cref="ServingException">They are too long, or the store is away; nothing is kept.</exception>
    public async ValueTask<FileDraft> DraftAsync(Owner owner, FileId id, Stream content, CancellationToken cancellationToken, long? maxBytes = null)
    {
        ArgumentNullException.ThrowIfNull(owner);
        var key = FileNames.New(owner, id);
        return await store.PutAsync(key, content, maxBytes ?? limits.MaxFileBytes, cancellationToken) is { } bytes ? new FileDraft(owner, id, key, bytes) : throw new ServingException(TooLong("longer"));
    }

    /// <summary>Makes a file of kept bytes. One that has this id already stays as it is, and is the answer.</summary>
    /// <exception cref="ServingException">There is no room for it, and the bytes are discarded; or a store is away, and it is not known whether the file is there.</exception>
    public async ValueTask<StoredFile> PublishAsync(FileDraft draft, FileDetails details, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(draft);
        ArgumentNullException.ThrowIfNull(details);
        var now = time.GetUtcNow();
        var expires = details.ExpiresAfter ?? (FilePurposes.Expires(details.Purpose) ? limits.DefaultExpiry : null);
        var file = new StoredFile
        {
            Id = draft.Id.Value,
            Owner = draft.Owner,
            Filename = details.Filename,
            Purpose = details.Purpose,
            Bytes = draft.Bytes.Length,
            Sha256 = draft.Bytes.Sha256,
            CreatedAt = now,
            ExpiresAt = now + expires,
            Content = draft.Content.Name,
        };

        if (await FindAsync(draft.Owner, file.Id, cancellationToken) is { } before) return await KeepAsync(draft, before);
        await AddUsageAsync(draft, file, details.IsOwed, cancellationToken);
        var json = JsonSerializer.SerializeToUtf8Bytes(file, FileJson.Default.StoredFile);
        if (await documents.SaveAsync(Key(draft.Owner.Scope, file.Id), json, SaveCondition.New, expires, cancellationToken) is not null) return file;

        var first = await GetAsync(draft.Owner, file.Id, cancellationToken);
        await _usage.AddAsync(draft.Owner.Scope, first.Id, Used(first), details.IsOwed, cancellationToken);
        return await KeepAsync(draft, first);
    }

    /// <summary>Deletes bytes that will be no file. What cannot be deleted now is swept later.</summary>
    public async ValueTask DiscardAsync(FileDraft draft)
    {
        ArgumentNullException.ThrowIfNull(draft);
        try
        {
            await store.DeleteAsync(draft.Content, CancellationToken.None);
        }
        catch (ServingException)
        {
            // The sweep finds them.
        }
    }

    /// <summary>The file.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.FileNotFound"/>: it is not there for this owner.</exception>
    public async ValueTask<StoredFile> GetAsync(Owner owner, string id, CancellationToken cancellationToken) => await FindAsync(owner, id, cancellationToken) ?? throw Unknown(id);

    /// <summary>The file, or null.</summary>
    public async ValueTask<StoredFile?> FindAsync(Owner owner, string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(owner);
        if (!FileId.TryParse(id, out _) || await documents.GetAsync(Key(owner.Scope, id), cancellationToken) is not { } document) return null;

        var file = Decode(document);
        return file.ExpiresAt is { } expires && expires <= time.GetUtcNow() ? null : file;
    }

    /// <summary>Its bytes from an offset, at most <paramref name="length"/> of them.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.FileNotFound"/>: it was deleted meanwhile.</exception>
    public async ValueTask<Stream> OpenAsync(StoredFile file, long offset, long? length, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(file);
        return await store.OpenAsync(new FileKey(FileNames.Room, file.Content), offset, length, cancellationToken) ?? throw Unknown(file.Id);
    }

    /// <summary>Deletes it. Who reads its bytes may read on, or be told that they are gone.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.FileNotFound"/>.</exception>
    public async ValueTask<StoredFile> DeleteAsync(Owner owner, string id, CancellationToken cancellationToken)
    {
        var file = await GetAsync(owner, id, cancellationToken);
        await documents.DeleteAsync(Key(owner.Scope, id), SaveCondition.Any, cancellationToken);
        try
        {
            await _usage.RemoveAsync(owner.Scope, id, CancellationToken.None);
            await store.DeleteAsync(new FileKey(FileNames.Room, file.Content), CancellationToken.None);
        }
        catch (ServingException)
        {
            // It is deleted; the sweep does the rest.
        }

        return file;
    }

    /// <summary>The owner's files, and whether there are more.</summary>
    /// <exception cref="ServingException">The cursor names none of them.</exception>
    public async ValueTask<(IReadOnlyList<StoredFile> Page, bool HasMore)> ListAsync(Owner owner, FileQuery query, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(owner);
        ArgumentNullException.ThrowIfNull(query);
        if (query.After is { } after && await FindAsync(owner, after, cancellationToken) is null)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"'after' is '{Shown(after)}', which is no file of yours (any more); begin again without it.", "after"));
        }

        var page = new List<StoredFile>();
        await foreach (var ids in IdsAsync(owner.Scope, query, cancellationToken))
        {
            foreach (var some in ids.Chunk(AtOnce))
            {
                var read = await Task.WhenAll(some.Select(id => FindAsync(owner, id, cancellationToken).AsTask()));
                page.AddRange(read.OfType<StoredFile>().Where(file => query.Purpose is null || file.Purpose == query.Purpose));
                if (page.Count > query.Limit) return (page[..query.Limit], true);
            }
        }

        return (page, false);
    }

    /// <summary>What is said of a file that is too long.</summary>
    /// <param name="actual">How long it is, in words.</param>
    public ServingFault TooLong(string actual) => new(
        ServingError.FileTooLarge,
        string.Create(CultureInfo.InvariantCulture, $"The file is {actual}; the limit is {limits.MaxFileBytes} bytes (Files:MaxFileBytes). Split it, a batch into several."),
        "file");

    internal static DocumentKey Key(string scope, string id) => new(Collection, scope, id);

    internal static StoredFile Decode(Document document) => JsonSerializer.Deserialize(document.Json.Span, FileJson.Default.StoredFile)!;

    private static ServingException Unknown(string id) => new(new ServingFault(ServingError.FileNotFound, $"No such File object: {Shown(id)}", "id"));

    private static string Shown(string id) => id.Length <= 64 ? id : id[..64] + "…";

    private static UsedBytes Used(StoredFile file) => new(file.Bytes, file.ExpiresAt?.ToUnixTimeSeconds());

    private async ValueTask AddUsageAsync(FileDraft draft, StoredFile file, bool isOwed, CancellationToken cancellationToken)
    {
        try
        {
            await _usage.AddAsync(draft.Owner.Scope, file.Id, Used(file), isOwed, cancellationToken);
        }
        catch (ServingException)
        {
            await DiscardAsync(draft);
            throw;
        }
    }

    private async ValueTask<StoredFile> KeepAsync(FileDraft draft, StoredFile before)
    {
        if (before.Content != draft.Content.Name) await DiscardAsync(draft);
        return before;
    }

    /// <summary>Ids in the order that is asked for, by pages. The index has the newest first, so the oldest first costs all ids, of which there are at most <see cref="FileLimits.MaxOwnerFiles"/>, about.</summary>
    private async IAsyncEnumerable<IEnumerable<string>> IdsAsync(string scope, FileQuery query, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var all = new List<string>();
        var after = query.OldestFirst ? null : query.After;
        while (await documents.ListAsync(Collection, scope, after, IndexPage, cancellationToken) is { Count: > 0 } ids)
        {
            if (query.OldestFirst) all.AddRange(ids);
            else yield return ids;
            if (ids.Count < IndexPage) break;
            after = ids[^1];
        }

        if (!query.OldestFirst) yield break;
        all.Reverse();
        yield return query.After is null ? all : all.SkipWhile(id => id != query.After).Skip(1);
    }
}
