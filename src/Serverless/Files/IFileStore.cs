namespace Serverless.Files;

/// <summary>Port: bytes by a key, and nothing else: whose they are and what they are called is in documents. Local directory; S3.</summary>
/// <remarks>
/// A store that cannot be reached: every call, and every read of an open stream, throws <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a
/// bounded time; a put or delete that ended so may have happened all the same, whole. What the content of a put throws comes through as it is, and nothing is kept.
/// </remarks>
public interface IFileStore
{
    /// <summary>Keeps a stream under a key: all of it, durable when this returns, or nothing. What was under the key before is replaced in one step; who reads that reads on. Holds a bounded part in memory.</summary>
    /// <param name="key">Its name.</param>
    /// <param name="content">Read once, to its end or until it is too long.</param>
    /// <param name="maxBytes">The longest that is kept.</param>
    /// <param name="cancellationToken">Gives it up; nothing is kept.</param>
    /// <returns>What was kept; null when the content is longer than <paramref name="maxBytes"/>, and nothing was.</returns>
    ValueTask<StoredBytes?> PutAsync(FileKey key, Stream content, long maxBytes, CancellationToken cancellationToken);

    /// <summary>Opens for reading from an offset; one at the end or beyond it reads nothing. Null when there is no such key.</summary>
    /// <param name="key">Which.</param>
    /// <param name="offset">The first byte; 0 or more.</param>
    /// <param name="length">Bytes at most, above 0; null: to the end. A short one costs a short read, also of a long file.</param>
    /// <param name="cancellationToken">Stops waiting for the first byte.</param>
    ValueTask<Stream?> OpenAsync(FileKey key, long offset, long? length, CancellationToken cancellationToken);

    /// <summary>Deletes it; one that is not there is deleted already.</summary>
    ValueTask DeleteAsync(FileKey key, CancellationToken cancellationToken);

    /// <summary>What a room holds, whole, at most <paramref name="limit"/>, in an order of the store's own that does not change, from after <paramref name="after"/> (a name, there or not; null: from the start).</summary>
    ValueTask<IReadOnlyList<FileEntry>> ListAsync(string room, string? after, int limit, CancellationToken cancellationToken);

    /// <summary>Clears what puts left that began before then and never ended: their processes died. Returns how many.</summary>
    ValueTask<int> DiscardUnfinishedAsync(DateTimeOffset begunBefore, CancellationToken cancellationToken);
}

/// <summary>What a put kept.</summary>
/// <param name="Length">In bytes.</param>
/// <param name="Sha256">Of the bytes, in lower case hex digits.</param>
public sealed record StoredBytes(long Length, string Sha256);

/// <summary>One key of a store.</summary>
/// <param name="Key">Its name.</param>
/// <param name="Length">In bytes.</param>
/// <param name="WrittenAt">When its put began or ended, by the store.</param>
public sealed record FileEntry(FileKey Key, long Length, DateTimeOffset WrittenAt);
