using Serverless.Errors;
using Serverless.Files;

namespace Serverless.Hosting.Files;

/// <summary>Where nobody said where files go: it takes none, and says whom to ask.</summary>
internal sealed class AbsentFileStore : IFileStore
{
    private static ServingException Absent => new(new ServingFault(
        ServingError.RouteNotFound, "This gateway keeps no files: its operator names a directory (Files:Directory) or a bucket (Files:S3:Bucket).", null, "files_not_set_up"));

    public ValueTask<StoredBytes?> PutAsync(FileKey key, Stream content, long maxBytes, CancellationToken cancellationToken) => throw Absent;

    public ValueTask<Stream?> OpenAsync(FileKey key, long offset, long? length, CancellationToken cancellationToken) => throw Absent;

    public ValueTask DeleteAsync(FileKey key, CancellationToken cancellationToken) => throw Absent;

    public ValueTask<IReadOnlyList<FileEntry>> ListAsync(string room, string? after, int limit, CancellationToken cancellationToken) => new([]);

    public ValueTask<int> DiscardUnfinishedAsync(DateTimeOffset begunBefore, CancellationToken cancellationToken) => new(0);
}
