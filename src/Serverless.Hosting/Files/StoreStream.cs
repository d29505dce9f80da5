using Serverless.Errors;

namespace Serverless.Hosting.Files;

/// <summary>A stored file, being read: so many bytes at most, each read in a bounded time, and what fails is the store's fault. Not thread-safe.</summary>
/// <param name="inner">Closed with this.</param>
/// <param name="length">Bytes that are read at most.</param>
/// <param name="timeout">Of one read.</param>
/// <param name="time">Its clock.</param>
/// <param name="owner">Closed with this too.</param>
internal sealed class StoreStream(Stream inner, long length, TimeSpan timeout, TimeProvider time, IDisposable? owner = null) : Stream
{
    private long _left = length;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_left == 0 || buffer.IsEmpty) return 0;

        using var limit = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var read = await inner.ReadAsync(buffer[..(int)Math.Min(buffer.Length, _left)], either.Token);
            _left -= read;
            return read;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw StoreFaults.Away(exception, limit.IsCancellationRequested);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read it asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            owner?.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>What fails in a file store, as callers are told.</summary>
internal static class StoreFaults
{
    /// <summary>No detail of it: clients read this. The cause is inside.</summary>
    public static ServingException Away(Exception exception, bool late) => exception as ServingException ?? new ServingException(
        new ServingFault(ServingError.StoreUnavailable, "The store of files cannot be used now; send the request again."),
        late ? new TimeoutException("The store of files did not answer in time.", exception) : exception);
}
