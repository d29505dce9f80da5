using System.Runtime.InteropServices;

namespace Serverless.Cli.Commands;

/// <summary>Ctrl+C: the first ends a command in good order (a server lets running answers end within <c>Gateway:Streaming:DrainTimeout</c>), the second cuts. Dispose to end it.</summary>
internal sealed class Interruption : IDisposable
{
    private const int CutExitCode = 130;

    private readonly CancellationTokenSource _first = new();
    private readonly PosixSignalRegistration[] _signals;

    public Interruption()
    {
        _signals = [PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal)];
    }

    /// <summary>Cancelled by the first.</summary>
    public CancellationToken Token => _first.Token;

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
        _first.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_first.IsCancellationRequested) Environment.Exit(CutExitCode);
        _first.Cancel();
    }
}
