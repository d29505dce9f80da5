using System.Text.Json;
using Serverless.Documents;
using Serverless.Requests;

namespace Serverless.Files;

/// <summary>
/// Deletes bytes that are no file's: of files that expired or were deleted by a process that died in the midst of it, and of uploads that came to nothing. What is younger than
/// <see cref="Grace"/> may become a file yet. Thread-safe; several processes may sweep at once.
/// </summary>
public sealed class FileSweep(IFileStore store, IDocumentStore documents, FileLimits limits, TimeProvider time)
{
    /// <summary>Longer than any upload takes.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromDays(1);

    private const int PageSize = 500;

    private readonly FileUsage _usage = new(documents, limits, time);

    /// <summary>Looks at everything once. Returns how many were deleted.</summary>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - Grace;
        var deleted = 0;
        string? after = null;
        while (await store.ListAsync(FileNames.Room, after, PageSize, cancellationToken) is { Count: > 0 } page)
        {
            foreach (var entry in page.Where(entry => entry.WrittenAt < before))
            {
                if (await DeleteIfOrphanAsync(entry, cancellationToken)) deleted++;
            }

            after = page[^1].Key.Name;
        }

        return deleted + await store.DiscardUnfinishedAsync(before, cancellationToken);
    }

    /// <summary>The bytes go last, so that whatever fails before is found again.</summary>
    private async ValueTask<bool> DeleteIfOrphanAsync(FileEntry entry, CancellationToken cancellationToken)
    {
        if (!FileNames.TryParse(entry.Key.Name, out var owner, out var id)) return false; // none of ours
        if (await documents.GetAsync(FileDirectory.Key(owner.Scope, id.Value), cancellationToken) is { } document)
        {
            if (Content(document) is not { } content || content == entry.Key.Name) return false;
        }
        else
        {
            await RemoveUsageAsync(owner, id, cancellationToken);
        }

        await store.DeleteAsync(entry.Key, cancellationToken);
        return true;
    }

    private async ValueTask RemoveUsageAsync(Owner owner, FileId id, CancellationToken cancellationToken)
    {
        try
        {
            await _usage.RemoveAsync(owner.Scope, id.Value, cancellationToken);
        }
        catch (JsonException)
        {
            // Of this team nothing can be counted; others are swept.
        }
    }

    /// <summary>Null: this release cannot read it, so its bytes stay.</summary>
    private static string? Content(Document document)
    {
        try
        {
            return FileDirectory.Decode(document).Content;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
