namespace Serverless.Hosting.Redis.Feeds;

/// <summary>A value that is the latest of its name, as this process has it.</summary>
/// <param name="value">It.</param>
/// <param name="at">The store's time of it; 0: published here and not yet read back.</param>
/// <param name="writer">Who published it, or <see cref="FeedEntry.Nobody"/>.</param>
/// <param name="json">As it stands in the store.</param>
/// <param name="freshAt">Timestamp of when it was published, by this process's clock.</param>
internal sealed class LatestEntry<T>(T value, long at, string writer, ReadOnlyMemory<byte> json, long freshAt)
    where T : class
{
    private long _freshAt = freshAt;

    public T Value => value;

    public long At => at;

    public string Writer => writer;

    public ReadOnlyMemory<byte> Json => json;

    public long FreshAt => Volatile.Read(ref _freshAt);

    /// <summary>It was seen again, and is no older than this.</summary>
    public void Freshen(long freshAt) => Volatile.Write(ref _freshAt, Math.Max(FreshAt, freshAt));
}
