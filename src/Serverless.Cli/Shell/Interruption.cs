using System.Runtime.InteropServices;

namespace Serverless.Cli.Shell;

/// <summary>Ctrl+C: the first ends a command in good order (a server lets running answers end within <c>Gateway:Streaming:DrainTimeout</c>), the second cuts. Dispose to end it.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _first = new();
    private readonly PosixSignalRegistration[] _signals;

    public Interruption()
    {
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

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        ExitCode = context.Signal == PosixSignal.SIGTERM ? Shell.ExitCode.Terminated : Shell.ExitCode.Interrupted;
        if (_first.IsCancellationRequested)
        {
            Console.Error.WriteLine("Cut.");
            Environment.Exit(ExitCode);
        }

        _first.Cancel();
    }
}
