using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests;

/// <summary>The script that starts real foreign programs: <c>RIG</c>, which the Makefile and .ci/run set where one is beside the clone. A single program may be in <c>RIG_BIN</c> or on the PATH as well. Tests that find none are skipped.</summary>
internal static class Rig
{
    public static string? Script { get; } = Find();

    public static string Absent => "No rig: set RIG to the script that starts a control plane with KEDA; it takes kube-apiserver, etcd and KEDA from RIG_BIN where that has them.";

    /// <summary>Why tests of a foreign program are skipped; null where it is to be had. <paramref name="name"/> is the rig's, <paramref name="program"/> that on a PATH.</summary>
    public static string? AbsenceOf(string name, string program) =>
        Script is not null || InBin(name, program) is not null || PartProcess.Find(program) is not null
            ? null
            : $"No {program}: put it on the PATH or into the folder that RIG_BIN names, or set RIG to the script that has it.";

    /// <summary>Where it is: in <c>RIG_BIN</c>, else the rig's, else on the PATH.</summary>
    public static async Task<string> PathAsync(string name, string program)
    {
        if (InBin(name, program) is { } own) return own;
        if (Script is not null) return (await RunAsync(new Dictionary<string, string>(), null, "path", name)).Trim();
        return PartProcess.Find(program) ?? throw new InvalidOperationException(AbsenceOf(name, program));
    }

    /// <summary>The first of twenty ports nobody listens on: <c>RIG_PORT</c>, else a free block.</summary>
    public static string FreePorts() =>
        Environment.GetEnvironmentVariable("RIG_PORT") ?? $"{Enumerable.Range(0, 400).Select(block => 21000 + (block * 20)).First(first => Enumerable.Range(first, 20).All(IsFree))}";

    /// <summary>Starts the script; the caller owns the process.</summary>
    public static Process Start(IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var start = new ProcessStartInfo(Script!, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start) ?? throw new InvalidOperationException($"{Script} did not start.");
    }

    /// <summary>Runs the script to its end and returns what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message holds what it said.</exception>
    public static async Task<string> RunAsync(IReadOnlyDictionary<string, string> environment, string? input, params string[] arguments)
    {
        using var process = Start(environment, arguments);
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        try
        {
            if (input is not null) await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token);
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            await Task.WhenAll(output, errors, process.WaitForExitAsync(limit.Token));
            if (process.ExitCode != 0) throw new InvalidOperationException($"rig {string.Join(' ', arguments)} ended with {process.ExitCode}: {await output}{await errors}");
            return await output;
        }
        catch (OperationCanceledException exception)
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException($"rig {string.Join(' ', arguments)} did not end within {TestTimeouts.Default.TotalSeconds:F0} s.", exception);
        }
    }

    private static string? InBin(string name, string program) => Environment.GetEnvironmentVariable("RIG_BIN") is { Length: > 0 } folder
        ? new[] { program, name }.Select(file => Path.Combine(folder, file)).FirstOrDefault(File.Exists)
        : null;

    private static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static string? Find()
    {
        var named = Environment.GetEnvironmentVariable("RIG");
        if (string.IsNullOrEmpty(named)) return null;
        return File.Exists(named) ? named : throw new FileNotFoundException($"RIG is '{named}', where no file is.", named);
    }
}
