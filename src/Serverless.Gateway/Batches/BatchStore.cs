using System.Globalization;
using System.Runtime.CompilerServices;
using Serverless.Batches;
using Serverless.Files;

namespace Serverless.Gateway.Batches;

/// <summary>What a batch keeps in the store of files while it runs: the pieces of its plan, and segments of its results. Each is written once and never changed. Thread-safe.</summary>
internal sealed class BatchStore(IFileStore store)
{
    /// <summary>The room of batches in the store.</summary>
    private const string Room = "batches";

    private const int Page = 500;

    /// <summary>Nobody's bound: what a batch makes is bounded by its lines.</summary>
    private const long Longest = long.MaxValue / 2;

    /// <summary>Keeps a piece of the plan: JSON lines.</summary>
    public async ValueTask PutPieceAsync(string batch, int piece, MemoryStream lines, CancellationToken cancellationToken) =>
        await store.PutAsync(PieceKey(batch, piece), Rewound(lines), Longest, cancellationToken);

    /// <summary>Keeps a segment under its name.</summary>
    public async ValueTask PutSegmentAsync(string name, MemoryStream lines, CancellationToken cancellationToken) => await store.PutAsync(new FileKey(Room, name), Rewound(lines), Longest, cancellationToken);

    /// <summary>The name of a segment, never used twice.</summary>
    public static string SegmentName(string batch, long epoch, int number, bool isFault) => string.Create(CultureInfo.InvariantCulture, $"{batch}.{(isFault ? "err" : "out")}.{epoch:D12}.{number:D8}");

    /// <summary>The lines of a piece that are not done, with their numbers.</summary>
    public async IAsyncEnumerable<(int Number, byte[] Line)> ReadPieceAsync(Batch batch, int piece, int maxBytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var content = await OpenAsync(PieceKey(batch.Id, piece), cancellationToken);
        var number = batch.Progress.Pieces[piece];
        await foreach (var (_, line) in JsonLines.ReadAsync(content, maxBytes, cancellationToken))
        {
            if (line is not null && !batch.Progress.IsDone(number)) yield return (number, line);
            number++;
        }
    }

    /// <summary>Segments one after the other.</summary>
    public Stream Join(IReadOnlyList<string> segments) => new JoinedStream(segments, name => OpenAsync(new FileKey(Room, name), CancellationToken.None));

    /// <summary>Deletes all that it keeps of a batch.</summary>
    public async ValueTask ClearAsync(string batch, CancellationToken cancellationToken)
    {
        while (await store.ListAsync(Room, batch, Page, cancellationToken) is { Count: > 0 } entries)
        {
            var own = entries.Where(entry => entry.Key.Name.StartsWith(batch + ".", StringComparison.Ordinal)).ToArray();
            foreach (var entry in own) await store.DeleteAsync(entry.Key, cancellationToken);
            if (own.Length < entries.Count) return;
        }
    }

    private static FileKey PieceKey(string batch, int piece) => new(Room, string.Create(CultureInfo.InvariantCulture, $"{batch}.plan.{piece:D6}"));

    private static MemoryStream Rewound(MemoryStream stream)
    {
        stream.Position = 0;
        return stream;
    }

    private async Task<Stream> OpenAsync(FileKey key, CancellationToken cancellationToken) =>
        await store.OpenAsync(key, 0, null, cancellationToken) ?? throw new BatchBrokenException($"'{key}' is not in the store of files any more.");
}

/// <summary>What a batch kept is gone: it cannot go on.</summary>
internal sealed class BatchBrokenException(string message) : Exception(message);

/// <summary>Streams read one after the other, each opened when it is needed. Not thread-safe.</summary>
internal sealed class JoinedStream(IReadOnlyList<string> names, Func<string, Task<Stream>> open) : Stream
{
    private Stream? _current;
    private int _next;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            if (_current is null)
            {
                if (_next == names.Count) return 0;
                _current = await open(names[_next++]);
            }

            if (await _current.ReadAsync(buffer, cancellationToken) is > 0 and var read) return read;
            await _current.DisposeAsync();
            _current = null;
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        if (_current is not null) await _current.DisposeAsync();
        await base.DisposeAsync();
    }
}
