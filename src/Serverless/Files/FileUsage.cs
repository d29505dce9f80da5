using System.Globalization;
using System.Text.Json;
using Serverless.Documents;
using Serverless.Errors;

namespace Serverless.Files;

/// <summary>
/// What a team's files take, by file and not as a sum: adding or removing one twice is the same as once, and one that expires is gone by itself, so no crash makes the figure wrong for good.
/// Thread-safe.
/// </summary>
internal sealed class FileUsage(IDocumentStore documents, FileLimits limits, TimeProvider time)
{
    private const string Collection = "file-usage";

    /// <summary>Notes what a file takes.</summary>
    /// <exception cref="ServingException">There is no room for it, and it is not owed.</exception>
    public async ValueTask AddAsync(string scope, string id, UsedBytes used, bool isOwed, CancellationToken cancellationToken)
    {
        string? saved;
        do
        {
            var (files, condition) = await ReadAsync(scope, cancellationToken);
            files.Remove(id);
            if (!isOwed) RequireRoom(files, used.Bytes);
            files[id] = used;
            saved = await SaveAsync(scope, files, condition, cancellationToken);
        }
        while (saved is null); // another writer was quicker, so somebody always gets on
    }

    public async ValueTask RemoveAsync(string scope, string id, CancellationToken cancellationToken)
    {
        string? saved;
        do
        {
            var (files, condition) = await ReadAsync(scope, cancellationToken);
            if (!files.Remove(id)) return;
            saved = await SaveAsync(scope, files, condition, cancellationToken);
        }
        while (saved is null);
    }

    /// <summary>Whether there would be room, before bytes are received.</summary>
    /// <exception cref="ServingException">There is none.</exception>
    public async ValueTask RequireRoomAsync(string scope, long bytes, CancellationToken cancellationToken) => RequireRoom((await ReadAsync(scope, cancellationToken)).Files, bytes);

    private void RequireRoom(Dictionary<string, UsedBytes> files, long bytes)
    {
        if (files.Count >= limits.MaxOwnerFiles) throw Full($"this team has {files.Count} files, the most that one team may have here (Files:MaxOwnerFiles)");

        var held = files.Values.Sum(used => used.Bytes);
        if (held > limits.MaxOwnerBytes - bytes) throw Full(string.Create(CultureInfo.InvariantCulture, $"this team's files have {held} bytes, the new one {bytes}, and one team may have {limits.MaxOwnerBytes} here (Files:MaxOwnerBytes)"));
    }

    private static ServingException Full(string why) => new(new ServingFault(
        ServingError.StorageFull, $"There is no room for the file: {why}. Delete files (DELETE /v1/files/ID), or let them expire sooner.", "file"));

    private async ValueTask<(Dictionary<string, UsedBytes> Files, SaveCondition Condition)> ReadAsync(string scope, CancellationToken cancellationToken)
    {
        if (await documents.GetAsync(Key(scope), cancellationToken) is not { } document) return (new(StringComparer.Ordinal), SaveCondition.New);

        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var files = JsonSerializer.Deserialize(document.Json.Span, FileJson.Default.DictionaryStringUsedBytes)!;
        return (files.Where(file => file.Value.Until is not { } until || until > now).ToDictionary(StringComparer.Ordinal), SaveCondition.Unchanged(document));
    }

    private ValueTask<string?> SaveAsync(string scope, Dictionary<string, UsedBytes> files, SaveCondition condition, CancellationToken cancellationToken) =>
        documents.SaveAsync(Key(scope), JsonSerializer.SerializeToUtf8Bytes(files, FileJson.Default.DictionaryStringUsedBytes), condition, null, cancellationToken);

    private static DocumentKey Key(string scope) => new(Collection, scope, "usage") { IsUnlisted = true };
}

/// <summary>What one file takes.</summary>
/// <param name="Bytes">Its length.</param>
/// <param name="Until">When it expires, in Unix seconds; null: never.</param>
internal readonly record struct UsedBytes(long Bytes, long? Until);
