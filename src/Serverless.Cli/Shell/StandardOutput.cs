using System.Runtime.InteropServices;

namespace Serverless.Cli.Shell;

/// <summary>This process' standard output. .NET passes over the error of a pipe that nobody reads, so its other end is looked at.</summary>
internal static partial class StandardOutput
{
    private const int Descriptor = 1;

    // poll.h: POLLERR, POLLHUP, POLLNVAL; they are told unasked.
    private const short Broken = 0x8 | 0x10 | 0x20;

    public static bool HasNoReader() => HasNoReader(Descriptor);

    internal static bool HasNoReader(int descriptor)
    {
        if (OperatingSystem.IsWindows()) return false;

        var polled = new Polled { Descriptor = descriptor };
        return Poll(ref polled, 1, 0) > 0 && (polled.Returned & Broken) != 0;
    }

    [LibraryImport("libc", EntryPoint = "poll")]
    private static partial int Poll(ref Polled polled, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct Polled
    {
        public int Descriptor;
        public short Asked;
        public short Returned;
    }
}
