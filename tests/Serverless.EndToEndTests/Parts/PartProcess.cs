using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Serverless.EndToEndTests.Parts;

/// <summary>A real program that a test started: its output is kept for the message of a failing test, and it is stopped by its process id, whatever happens.</summary>
internal sealed class PartProcess : IAsyncDisposable
{
    private const int KeptCharacters = 64 * 1024;

    private static readonly HashSet<int> GivenPorts = [];

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Lock _lock = new();

    private PartProcess(string name, Process process)
    {
        Name = name;
        _process = process;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Name { get; }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Resident memory in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>The last it said.</summary>
    public string Output
    {
        get
        {
            lock (_lock) return _output.ToString();
        }
    }

    /// <summary>
    /// Starts a program; the environment is added to this process's. Signals are as they are due to it: where the tests themselves were begun in the background, SIGINT is ignored by all that they start.
    /// </summary>
    public static PartProcess Start(string name, string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null)
    {
        var start = new ProcessStartInfo("env", ["--default-signal=INT,QUIT", program, .. arguments]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder ?? "" };
        foreach (var (key, value) in environment ?? new Dictionary<string, string>()) start.Environment[key] = value;
        return new PartProcess(name, Process.Start(start) ?? throw new InvalidOperationException($"{name} did not start."));
    }

    /// <summary>Where a program of that name is on the PATH (and in /usr/sbin, where Debian keeps brokers); null: absent.</summary>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Append("/usr/lib/rabbitmq/bin")
            .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <summary>
    /// A port nobody listens on now, and none that the system gives away: connections that go out take theirs from above, and would take one that is free for a moment, before its
    /// part starts or while it is down.
    /// </summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(10_000, 32_768);
            lock (GivenPorts)
            {
                if (!GivenPorts.Add(port)) continue;
            }

            if (IsFree(port)) return port;
        }
    }

    /// <summary>Waits until <paramref name="ready"/> holds, asking again at once a tenth of a second; fails when the program ends before.</summary>
    public async Task ReadyAsync(Func<CancellationToken, Task<bool>> ready, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Start, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        try
        {
            do
            {
                if (HasExited) throw new InvalidOperationException($"{Name} ended with {_process.ExitCode} before it was ready: {Output}");
                if (await IsReadyAsync(ready, either.Token)) return;
            }
            while (await pace.WaitForNextTickAsync(either.Token));
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested)
        {
            throw new InvalidOperationException($"{Name} was not ready within {TestTimeouts.Start.TotalSeconds:F0} s: {Output}", exception);
        }
    }

    /// <summary>Sends a signal: <c>KILL</c>, <c>TERM</c>, <c>STOP</c>, <c>CONT</c>.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start(new ProcessStartInfo("kill", [$"-{signal}", $"{_process.Id}"]) { UseShellExecute = false, RedirectStandardError = true })!;
        await kill.WaitForExitAsync(CancellationToken.None);
    }

    public Task ExitedAsync(CancellationToken cancellationToken) => _process.WaitForExitAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    private static async Task<bool> IsReadyAsync(Func<CancellationToken, Task<bool>> ready, CancellationToken cancellationToken)
    {
        try
        {
            return await ready(cancellationToken);
        }
        catch (Exception exception) when (exception is SocketException or HttpRequestException or IOException)
        {
            return false;
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Any, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private void Keep(string? line)
    {
        if (line is null) return;
        lock (_lock)
        {
            _output.AppendLine(line);
            if (_output.Length > KeptCharacters) _output.Remove(0, _output.Length - KeptCharacters);
        }
    }
}
