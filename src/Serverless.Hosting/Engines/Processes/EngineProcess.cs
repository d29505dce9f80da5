using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Serverless.Hosting.Engines.Processes;

/// <summary>
/// An engine as a child of this process, in a session of its own, so that whatever it begins goes with it; and where the system can see to it (<c>setpriv</c>) it goes with this process, however that ends.
/// What it writes is logged, and the end of it kept, to say why it went. Thread-safe.
/// </summary>
internal sealed partial class EngineProcess : IAsyncDisposable
{
    private const int KeptLines = 20; // of its output, and of its errors: neither pushes out the other
    private const int LongestLine = 2000;

    /// <summary>How long what it wrote may take to be read once it is gone.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromMilliseconds(500);

    /// <summary>How long it may take to go when it is asked to.</summary>
    private static readonly TimeSpan FarewellLimit = TimeSpan.FromSeconds(5);

    private readonly string _name;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource<Process> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<string> _output = new();
    private readonly Queue<string> _errors = new();
    private readonly Lock _lock = new();
    private Task _reading = Task.CompletedTask;
    private Task _ending = Task.CompletedTask;
    private bool _isAsked;

    private EngineProcess(string name, TimeProvider time, ILogger logger) => (_name, _time, _logger) = (name, time, logger);

    /// <summary>Completes when it is gone.</summary>
    public Task Exited => _exited.Task;

    /// <summary>The last lines that it wrote: of its output, then of its errors.</summary>
    public string LastLines
    {
        get
        {
            lock (_lock) return string.Join('\n', _output.Concat(_errors));
        }
    }

    private static string[] Guards { get; } = [.. OnPath("setpriv", "--pdeathsig", "KILL", "--"), .. OnPath("setsid")];

    /// <summary>Starts it, with <paramref name="environment"/> beyond the environment of this process.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">It may not be run.</exception>
    public static async Task<EngineProcess> StartAsync(string program, IReadOnlyList<string> arguments, TimeProvider time, ILogger logger, IReadOnlyDictionary<string, string>? environment = null)
    {
        string[] line = [.. Guards, program, .. arguments];
        var start = new ProcessStartInfo(line[0], line[1..]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var started = new EngineProcess(Path.GetFileName(program), time, logger);

        // The system has it go with the thread that began it, so that one waits for it.
        new Thread(() => started.Run(start)) { IsBackground = true, Name = $"engine {started._name}" }.Start();
        await started._started.Task;
        return started;
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

    /// <summary>Asks it to go, makes it go, and whatever it began with it.</summary>
    public async ValueTask DisposeAsync()
    {
        var process = await _started.Task;
        lock (_lock)
        {
            if (_isAsked) return;
            _isAsked = true;
        }

        var began = ProcessTree.Of(process.Id); // while who began whom can be seen
        if (!Exited.IsCompleted)
        {
            await SignalAsync("-TERM", [process.Id]);
            using var limit = new CancellationTokenSource();
            await Task.WhenAny(Exited, Task.Delay(FarewellLimit, _time, limit.Token));
            await limit.CancelAsync();
            if (!Exited.IsCompleted) process.Kill(entireProcessTree: true);
            await Exited;
        }

        // Groups and sessions of their own leave the group, and who is begun meanwhile the list: all that is left of either goes.
        var left = began.Concat(Guards.Length > 0 ? ProcessTree.OfSession(process.Id) : []).Where(ProcessTree.IsThere).Select(one => one.Id).Distinct().ToList();
        if (left.Count > 0) await SignalAsync("-KILL", left);
        await _ending;
        await _reading.WaitAsync(LastWords, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // whoever got away from both has its output still
        process.Dispose();
    }

    private static string[] OnPath(string program, params string[] arguments) => OperatingSystem.IsLinux() && Find(program) is { } path ? [path, .. arguments] : [];

    private static async Task SignalAsync(string signal, IReadOnlyList<int> ids)
    {
        if (Find("kill") is not { } kill) return;

        using var asking = Process.Start(new ProcessStartInfo(kill, [signal, "--", .. ids.Select(id => id.ToString(CultureInfo.InvariantCulture))]) { UseShellExecute = false, RedirectStandardError = true })!;
        await asking.WaitForExitAsync(CancellationToken.None);
    }

    private void Run(ProcessStartInfo start)
    {
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Exception exception)
        {
            _started.SetException(exception);
            return;
        }

        process.StandardInput.Close();
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _errors));
        _started.SetResult(process);
        process.WaitForExit();
        _ending = EndAsync(process);
    }

    private async Task EndAsync(Process process)
    {
        try
        {
            await _reading.WaitAsync(LastWords, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // what it began may have its output still
            var isAsked = false;
            lock (_lock) isAsked = _isAsked;
            if (!isAsked) LogWent(_logger, _name, process.ExitCode, LastLines);
        }
        finally
        {
            _exited.SetResult();
        }
    }

    private async Task ReadAsync(StreamReader reader, Queue<string> kept)
    {
        var line = new char[LongestLine];
        var length = 0;
        var read = new char[1024];
        for (int count; (count = await reader.ReadAsync(read, CancellationToken.None)) > 0;)
        {
            foreach (var one in read.AsMemory(0, count).ToArray())
            {
                if (one is not '\n')
                {
                    if (length < LongestLine) line[length++] = one;
                    continue;
                }

                Keep(kept, new string(line, 0, length));
                length = 0;
            }
        }

        if (length > 0) Keep(kept, new string(line, 0, length));
    }

    private void Keep(Queue<string> kept, string line)
    {
        LogSaid(_logger, _name, line);
        lock (_lock)
        {
            if (kept.Count == KeptLines) kept.Dequeue();
            kept.Enqueue(line);
        }
    }

    [LoggerMessage(LogLevel.Debug, "{Engine}: {Line}")]
    private static partial void LogSaid(ILogger logger, string engine, string line);

    [LoggerMessage(LogLevel.Error, "{Engine} ended with {Code}, unasked. It said last:\n{Lines}")]
    private static partial void LogWent(ILogger logger, string engine, int code, string lines);
}
