using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Serverless.Hosting.Engines.Processes;

/// <summary>
/// An engine as a child of this process: it ends with it, however that ends where the system can see to it (<c>setpriv --pdeathsig</c>). The end of its log is kept, to say why it went. Thread-safe.
/// </summary>
internal sealed partial class EngineProcess : IAsyncDisposable
{
    private const int KeptLines = 40;
    private const int LongestLine = 2000;

    /// <summary>How long it may take to go when it is asked to.</summary>
    private static readonly TimeSpan FarewellLimit = TimeSpan.FromSeconds(10);

    private readonly Process _process;
    private readonly TimeProvider _time;
    private readonly Queue<string> _log = new();
    private readonly Lock _lock = new();

    private EngineProcess(Process process, string name, TimeProvider time, ILogger logger)
    {
        (_process, _time) = (process, time);
        Exited = WaitAsync(process);
        _ = ReadAsync(process.StandardOutput, name, logger);
        _ = ReadAsync(process.StandardError, name, logger);
    }

    /// <summary>Completes when it is gone.</summary>
    public Task Exited { get; }

    /// <summary>The last lines that it wrote.</summary>
    public string LastLines
    {
        get
        {
            lock (_lock) return string.Join('\n', _log);
        }
    }

    /// <summary>Starts it.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program, or it may not be run.</exception>
    public static EngineProcess Start(string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment, TimeProvider time, ILogger logger)
    {
        var start = new ProcessStartInfo { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Guard is { } guard)
        {
            start.FileName = guard;
            foreach (var argument in (string[])["--pdeathsig", "KILL", "--", program]) start.ArgumentList.Add(argument);
        }
        else
        {
            start.FileName = program;
        }

        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment) start.Environment[name] = value;
        var process = Process.Start(start)!;
        process.StandardInput.Close();
        return new EngineProcess(process, Path.GetFileName(program), time, logger);
    }

    /// <summary>The full path of a program: as it is given, or where PATH has it; null: nowhere.</summary>
    public static string? Find(string program)
    {
        if (program.Contains('/', StringComparison.Ordinal)) return File.Exists(program) ? Path.GetFullPath(program) : null;
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
    }

    /// <summary>A port of this machine that nobody has at the moment.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Asks it to go, and makes it go.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!Exited.IsCompleted)
        {
            await TerminateAsync();
            using var limit = new CancellationTokenSource();
            await Task.WhenAny(Exited, Task.Delay(FarewellLimit, _time, limit.Token));
            await limit.CancelAsync();
            if (!Exited.IsCompleted) _process.Kill(entireProcessTree: true);
            await Exited;
        }

        _process.Dispose();
    }

    private static string? Guard { get; } = OperatingSystem.IsLinux() ? Find("setpriv") : null;

    private static async Task WaitAsync(Process process) => await process.WaitForExitAsync(CancellationToken.None);

    private async Task TerminateAsync()
    {
        if (Find("kill") is not { } kill) return;

        using var asking = Process.Start(new ProcessStartInfo(kill, ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardError = true })!;
        await asking.WaitForExitAsync(CancellationToken.None);
    }

    private async Task ReadAsync(StreamReader reader, string name, ILogger logger)
    {
        var line = new char[LongestLine];
        var length = 0;
        var one = new char[1024];
        for (int read; (read = await reader.ReadAsync(one, CancellationToken.None)) > 0;)
        {
            for (var i = 0; i < read; i++)
            {
                if (one[i] is not '\n')
                {
                    if (length < LongestLine) line[length++] = one[i];
                    continue;
                }

                Keep(new string(line, 0, length), name, logger);
                length = 0;
            }
        }

        if (length > 0) Keep(new string(line, 0, length), name, logger);
    }

    private void Keep(string line, string name, ILogger logger)
    {
        LogSaid(logger, name, line);
        lock (_lock)
        {
            if (_log.Count == KeptLines) _log.Dequeue();
            _log.Enqueue(line);
        }
    }

    [LoggerMessage(LogLevel.Debug, "{Engine}: {Line}")]
    private static partial void LogSaid(ILogger logger, string engine, string line);
}
