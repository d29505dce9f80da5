using System.Runtime.InteropServices;
using System.Text;

namespace Serverless.Hosting.Files;

/// <summary>Brings the names in a folder to disk. .NET opens no folders, so this asks the system itself; Windows keeps them in its own journal.</summary>
internal static class FolderSync
{
    /// <exception cref="IOException">It could not be done.</exception>
    public static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows()) return;

        var descriptor = Open([.. Encoding.UTF8.GetBytes(folder), 0], flags: 0);
        if (descriptor < 0) throw new IOException($"Folder '{folder}' cannot be opened: error {Marshal.GetLastPInvokeError()}.");
        try
        {
            if (Sync(descriptor) != 0) throw new IOException($"Folder '{folder}' cannot be synced: error {Marshal.GetLastPInvokeError()}.");
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open(byte[] path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Sync(int descriptor);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int descriptor);
}
