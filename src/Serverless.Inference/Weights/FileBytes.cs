using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Serverless.Inference.Weights;

/// <summary>
/// The bytes of a file of a model. It is read and not mapped: of a file that somebody cuts off or writes anew meanwhile a read fails, where a map would end the process.
/// Thread-safe; dispose it after its last use.
/// </summary>
internal sealed class FileBytes : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly Func<string, Exception?, ModelFileException> _fault;

    private FileBytes(string path, SafeFileHandle handle, long length, Func<string, Exception?, ModelFileException> fault) => (Path, _handle, Length, _fault) = (path, handle, length, fault);

    public string Path { get; }

    /// <summary>Its length when it was opened.</summary>
    public long Length { get; }

    public bool IsClosed => _handle.IsClosed;

    /// <summary>Opens a file that has at least so many bytes.</summary>
    /// <exception cref="ModelFileException">It is missing or shorter: what <paramref name="fault"/> makes of the reason.</exception>
    public static FileBytes Open(string path, int least, string kind, Func<string, Exception?, ModelFileException> fault)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var length = LengthOf(path, fault);
        try
        {
            if (length < least) throw fault(string.Create(CultureInfo.InvariantCulture, $"'{path}' is no {kind}: it has {length} bytes, and the header alone takes {least}."), null);

            return new FileBytes(path, File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete), length, fault);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw fault($"'{path}' cannot be opened: {exception.Message}", exception);
        }
    }

    /// <summary>Asked before it is opened: a pipe, which has none, would be waited for.</summary>
    private static long LengthOf(string path, Func<string, Exception?, ModelFileException> fault)
    {
        try
        {
            var named = new FileInfo(path);
            return (named.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? named).Length;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw fault($"'{path}' cannot be opened: {exception.Message}", exception);
        }
    }

    /// <summary>All bytes of a file of at most <paramref name="limit"/>; null where there is none.</summary>
    public static byte[]? All(string path, int limit, Func<string, Exception?, ModelFileException> fault)
    {
        if (!File.Exists(path)) return null;
        if (LengthOf(path, fault) == 0) return []; // or a pipe

        using var file = Open(path, 0, "", fault);
        if (file.Length > limit) throw fault(string.Create(CultureInfo.InvariantCulture, $"'{path}' has {file.Length} bytes; at most {limit} are read."), null);

        var bytes = new byte[file.Length];
        file.Read(0, bytes);
        return bytes;
    }

    /// <summary>Fills <paramref name="into"/> with the bytes from <paramref name="offset"/> on, which lie in the file as it was when it was opened.</summary>
    /// <exception cref="ModelFileException">They are there no longer, or cannot be read.</exception>
    public void Read(long offset, Span<byte> into)
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        try
        {
            for (int read; !into.IsEmpty; into = into[read..], offset += read)
            {
                read = RandomAccess.Read(_handle, into, offset);
                if (read == 0) throw _fault(string.Create(CultureInfo.InvariantCulture, $"'{Path}' ends at byte {offset} and had {Length} when it was opened: it is being written anew. Write a new file beside it and rename it over the old one."), null);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw _fault($"'{Path}' cannot be read: {exception.Message}", exception);
        }
    }

    public void Dispose() => _handle.Dispose();
}
