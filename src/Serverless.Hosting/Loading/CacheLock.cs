namespace Serverless.Hosting.Loading;

/// <summary>Locks of the system (<c>flock</c>) on files that hold nothing: they go with the process that has them, however it ends.</summary>
internal static class CacheLock
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    /// <summary>It alone; null where anybody has it.</summary>
    public static FileStream? TryTake(string path) => Open(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);

    /// <summary>With others who share it; null where one has it alone.</summary>
    public static FileStream? TryShare(string path)
    {
        try
        {
            return Open(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (FileNotFoundException)
        {
            return Open(path, FileMode.OpenOrCreate, FileAccess.Read, FileShare.Read);
        }
    }

    /// <summary>It alone, once whoever has it lets go.</summary>
    public static async Task<FileStream> TakeAsync(string path, TimeProvider time, CancellationToken cancellationToken)
    {
        if (TryTake(path) is { } free) return free;

        using var timer = new PeriodicTimer(Look, time);
        while (true)
        {
            await timer.WaitForNextTickAsync(cancellationToken);
            if (TryTake(path) is { } taken) return taken;
        }
    }

    /// <exception cref="IOException">Not because another one has it.</exception>
    private static FileStream? Open(string path, FileMode mode, FileAccess access, FileShare share)
    {
        try
        {
            return new FileStream(path, mode, access, share, bufferSize: 0);
        }
        catch (IOException exception) when (exception.GetType() == typeof(IOException) && IsTaken(exception))
        {
            return null;
        }
    }

    /// <summary>EWOULDBLOCK of Linux and of macOS, and Windows' sharing violation.</summary>
    private static bool IsTaken(IOException exception) => exception.HResult is 11 or 35 or unchecked((int)0x80070020);
}
