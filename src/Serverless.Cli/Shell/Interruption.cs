using System.Runtime.InteropServices;

namespace Serverless.Cli.Shell;

/// <summary>Ctrl+C: the first ends a command in good order (a server lets running answers end within <c>Gateway:Streaming:DrainTimeout</c>), the second cuts. Dispose to end it.</summary>
internal sealed class Interruption : IDisposable
{
    /// <summary>timeout(1) and some others send SIGTERM to a process and to its group, so twice to it: one end is meant.</summary>
    private static readonly TimeSpan OneSignal = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _first = new();
    private readonly PosixSignalRegistration[] _signals;
    private readonly TimeProvider _time;
    private long _firstAt;

    public Interruption(TimeProvider time)
    {
        _time = time;
        _signals = [PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal)];
    }

    /// <summary>Cancelled by the first.</summary>
    public CancellationToken Token => _first.Token;

    /// <summary>What a command that it ended ends with.</summary>
    public int ExitCode { get; private set; } = Shell.ExitCode.Interrupted;

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
        _first.Dispose();
    }

    /// <summary>Takes a signal; whether it cuts.</summary>
    internal bool Take(PosixSignal signal)
    {
        if (_first.IsCancellationRequested) return signal != PosixSignal.SIGTERM || _time.GetElapsedTime(_firstAt) >= OneSignal;

        ExitCode = signal == PosixSignal.SIGTERM ? Shell.ExitCode.Terminated : Shell.ExitCode.Interrupted;
        _firstAt = _time.GetTimestamp();
        _first.Cancel();
        return false;
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (!Take(context.Signal)) return;

        Console.Error.WriteLine("Cut.");
        Environment.Exit(context.Signal == PosixSignal.SIGTERM ? Shell.ExitCode.Terminated : Shell.ExitCode.Interrupted);
    }
}
