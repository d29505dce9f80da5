using System.Globalization;
using System.Security.Cryptography;
using Amazon.S3;
using Amazon.S3.Model;
using Serverless.Files;

namespace Serverless.Hosting.Files;

/// <summary>
/// Files in a bucket of S3 or of what speaks its language: <c>PREFIX ROOM/NAME</c>. A short one is one object put; a longer one goes up in parts, of which one at a time is held here, and is there
/// when all of them are. Thread-safe.
/// </summary>
internal sealed class S3FileStore : IFileStore, IDisposable
{
    /// <summary>S3 takes no shorter ones but the last, and 10,000 of them.</summary>
    public const int PartBytes = 8 * 1024 * 1024;

    private const int LongestPage = 1000;

    private readonly AmazonS3Client _client;
    private readonly S3Options _options;
    private readonly TimeProvider _time;

    public S3FileStore(S3Options options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_options, _time) = (options, time);
        _client = S3Clients.Create(options.Endpoint, options.Region, options.AccessKey, options.SecretKey, options.Timeout, isPathStyle: options.Endpoint is not null);
    }

    private string Bucket => _options.Bucket!;

    public async ValueTask<StoredBytes?> PutAsync(FileKey key, Stream content, long maxBytes, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(content);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var part = GC.AllocateUninitializedArray<byte>((int)Math.Min(PartBytes, maxBytes + 1)); // not pooled: uploads are few, and a pool would keep it
        var read = await content.ReadAtLeastAsync(part, part.Length, throwOnEndOfStream: false, cancellationToken);
        hash.AppendData(part, 0, read);
        if (read > maxBytes) return null;
        if (read == part.Length) return await PutInPartsAsync(key, part, content, maxBytes, hash, cancellationToken);

        await CallAsync(token => _client.PutObjectAsync(new PutObjectRequest { BucketName = Bucket, Key = Name(key), InputStream = new MemoryStream(part, 0, read), UseChunkEncoding = false }, token), cancellationToken);
        return new StoredBytes(read, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    public async ValueTask<Stream?> OpenAsync(FileKey key, long offset, long? length, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        if (length is { } bounded) ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bounded, nameof(length));
        var request = new GetObjectRequest { BucketName = Bucket, Key = Name(key) };
        if (length is { } most) request.ByteRange = new ByteRange(offset, offset + most - 1);
        else if (offset > 0) request.ByteRange = new ByteRange(string.Create(CultureInfo.InvariantCulture, $"bytes={offset}-"));
        try
        {
            var response = await CallAsync(token => _client.GetObjectAsync(request, token), cancellationToken);
            return new StoreStream(response.ResponseStream, length ?? long.MaxValue, _options.Timeout, _time, response);
        }
        catch (Errors.ServingException exception) when (exception.InnerException is AmazonS3Exception { ErrorCode: "NoSuchKey" })
        {
            return null;
        }
        catch (Errors.ServingException exception) when (exception.InnerException is AmazonS3Exception { ErrorCode: "InvalidRange" })
        {
            return Stream.Null;
        }
    }

    public async ValueTask DeleteAsync(FileKey key, CancellationToken cancellationToken) =>
        await CallAsync(token => _client.DeleteObjectAsync(new DeleteObjectRequest { BucketName = Bucket, Key = Name(key) }, token), cancellationToken);

    public async ValueTask<IReadOnlyList<FileEntry>> ListAsync(string room, string? after, int limit, CancellationToken cancellationToken)
    {
        var folder = $"{_options.Prefix}{room}/";
        var entries = new List<FileEntry>();
        while (entries.Count < limit)
        {
            var request = new ListObjectsV2Request { BucketName = Bucket, Prefix = folder, StartAfter = after is null ? null : folder + after, MaxKeys = Math.Min(limit - entries.Count, LongestPage) };
            var page = await CallAsync(token => _client.ListObjectsV2Async(request, token), cancellationToken);
            var objects = page.S3Objects ?? [];
            entries.AddRange(objects.Where(one => FileKey.IsName(one.Key[folder.Length..]))
                .Select(one => new FileEntry(new FileKey(room, one.Key[folder.Length..]), one.Size ?? 0, new DateTimeOffset((one.LastModified ?? default).ToUniversalTime()))));
            if (page.IsTruncated != true || objects.Count == 0) break;
            after = objects[^1].Key[folder.Length..];
        }

        return entries;
    }

    public async ValueTask<int> DiscardUnfinishedAsync(DateTimeOffset begunBefore, CancellationToken cancellationToken)
    {
        var discarded = 0;
        var request = new ListMultipartUploadsRequest { BucketName = Bucket, Prefix = _options.Prefix };
        while (true)
        {
            var page = await CallAsync(token => _client.ListMultipartUploadsAsync(request, token), cancellationToken);
            foreach (var upload in (page.MultipartUploads ?? []).Where(upload => upload.Initiated?.ToUniversalTime() < begunBefore.UtcDateTime))
            {
                await CallAsync(token => _client.AbortMultipartUploadAsync(new AbortMultipartUploadRequest { BucketName = Bucket, Key = upload.Key, UploadId = upload.UploadId }, token), cancellationToken);
                discarded++;
            }

            if (page.IsTruncated != true) return discarded;
            (request.KeyMarker, request.UploadIdMarker) = (page.NextKeyMarker, page.NextUploadIdMarker);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<StoredBytes?> PutInPartsAsync(FileKey key, byte[] part, Stream content, long maxBytes, IncrementalHash hash, CancellationToken cancellationToken)
    {
        var upload = await CallAsync(token => _client.InitiateMultipartUploadAsync(new InitiateMultipartUploadRequest { BucketName = Bucket, Key = Name(key) }, token), cancellationToken);
        var completed = false;
        try
        {
            var (length, read) = (0L, part.Length);
            var tags = new List<PartETag>();
            while (read > 0)
            {
                length += read;
                if (length > maxBytes) return null;

                var number = tags.Count + 1;
                var request = new UploadPartRequest { BucketName = Bucket, Key = Name(key), UploadId = upload.UploadId, PartNumber = number, InputStream = new MemoryStream(part, 0, read), PartSize = read, UseChunkEncoding = false };
                tags.Add(new PartETag(number, (await CallAsync(token => _client.UploadPartAsync(request, token), cancellationToken)).ETag));
                read = await content.ReadAtLeastAsync(part, part.Length, throwOnEndOfStream: false, cancellationToken);
                hash.AppendData(part, 0, read);
            }

            await CallAsync(token => _client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest { BucketName = Bucket, Key = Name(key), UploadId = upload.UploadId, PartETags = tags }, token), cancellationToken);
            completed = true;
            return new StoredBytes(length, Convert.ToHexStringLower(hash.GetHashAndReset()));
        }
        finally
        {
            if (!completed) await AbortAsync(key, upload.UploadId);
        }
    }

    /// <summary>What cannot be taken back now is discarded a day later.</summary>
    private async Task AbortAsync(FileKey key, string upload)
    {
        try
        {
            await CallAsync(token => _client.AbortMultipartUploadAsync(new AbortMultipartUploadRequest { BucketName = Bucket, Key = Name(key), UploadId = upload }, token), CancellationToken.None);
        }
        catch (Errors.ServingException)
        {
            // It is away.
        }
    }

    private string Name(FileKey key) => _options.Prefix + key;

    /// <summary>One call, bounded with all of the SDK's retries.</summary>
    private async Task<T> CallAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call(either.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw StoreFaults.Away(exception, limit.IsCancellationRequested);
        }
    }
}
