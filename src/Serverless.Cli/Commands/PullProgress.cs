using System.Globalization;
using Serverless.Cli.Shell;
using Serverless.Hosting.Telemetry;

namespace Serverless.Cli.Commands;

/// <summary>How far a pull is, on standard error: drawn over on a terminal, a line for each tenth anywhere else.</summary>
internal sealed class PullProgress(Terminal terminal, string source) : IProgress<double>, IDisposable
{
    private const string Clear = "\r\e[K";

    private readonly Lock _lock = new();
    private int _told = -1;

    private bool Draws => terminal.Progress.Profile is { Out.IsTerminal: true, Capabilities.Ansi: true };

    public void Report(double value)
    {
        var (percent, draws) = ((int)(value * 100), Draws);
        var step = draws ? percent : percent / 10 * 10;
        lock (_lock)
        {
            if (step <= _told) return;

            _told = step;
            var line = PlainText.OneLine(string.Create(CultureInfo.InvariantCulture, $"{source}: {step} %"));
            if (!draws)
            {
                terminal.Fault(line);
                return;
            }

            terminal.Progress.Profile.Out.Writer.Write(Clear + line[..Math.Min(line.Length, Math.Max(1, terminal.Progress.Profile.Width - 1))]);
            terminal.Progress.Profile.Out.Writer.Flush();
        }
    }

    public void Dispose()
    {
        if (Draws && _told >= 0) terminal.Progress.Profile.Out.Writer.Write(Clear);
    }
}
