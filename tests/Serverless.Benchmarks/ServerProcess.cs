using System.Diagnostics;

namespace Serverless.Benchmarks;

/// <summary>A server in a process of its own: this program again, in another part. It says its address on its first line of output and ends with its standard input.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ServerProcess(Process process, Uri address)
    {
        (_process, Address) = (process, address);
        ProcessorTime.Servers.Add(process.Id);
    }

    public Uri Address { get; }

    /// <summary>Resident memory in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>The most that was resident since the start, in bytes.</summary>
    public long PeakResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    /// <summary>Processor time of all its threads since the start.</summary>
    public double ProcessorSeconds
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime.TotalSeconds;
        }
    }

    public static async Task<ServerProcess> StartAsync(params string[] part)
    {
        var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, part) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true })!;
        return await process.StandardOutput.ReadLineAsync() is { } address
            ? new ServerProcess(process, new Uri(address))
            : throw new InvalidOperationException($"The server '{string.Join(' ', part)}' ended before it said its address.");
    }

    public async ValueTask DisposeAsync()
    {
        ProcessorTime.Servers.Remove(_process.Id);
        _process.StandardInput.Close();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
