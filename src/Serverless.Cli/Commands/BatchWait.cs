using System.Globalization;
using Serverless.Cli.Client;
using Serverless.Cli.Shell;
using Serverless.Hosting.Telemetry;

namespace Serverless.Cli.Commands;

/// <summary>Waits for a batch's end, and shows how far it is on standard error: drawn over on a terminal, a line per change of its status anywhere else. A gateway that goes away is waited for.</summary>
internal sealed class BatchWait(Terminal terminal, BatchCalls calls)
{
    private const string Clear = "\r\e[K";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private string _status = "";
    private (long At, int Done)? _first;

    private bool Draws => terminal.Progress.Profile is { Out.IsTerminal: true, Capabilities.Ansi: true };

    /// <summary>The batch at its end.</summary>
    public async Task<BatchRow> RunAsync(string id, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, terminal.Time);
        BatchRow? batch = null;
        do
        {
            try
            {
                batch = await calls.GetAsync(id, cancellationToken);
            }
            catch (ServingClientException exception) when (exception.IsUnreachable && batch is not null)
            {
                continue; // it was there a moment ago
            }

            Tell(batch);
            if (!batch.HasEnded) continue;

            if (Draws) terminal.Progress.Profile.Out.Writer.Write(Clear);
            return batch;
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
        throw new OperationCanceledException(cancellationToken);
    }

    /// <summary>In words, with when it will be done, by the lines since this command saw the first of them.</summary>
    private string Line(BatchRow batch)
    {
        var line = string.Create(CultureInfo.InvariantCulture, $"{batch.Status}: {batch.Done:N0} of {batch.Total:N0} lines");
        if (batch.Failed > 0) line += string.Create(CultureInfo.InvariantCulture, $", {batch.Failed:N0} failed");
        if (batch.Status != "in_progress") return line;

        _first ??= (terminal.Time.GetTimestamp(), batch.Done);
        var (took, done) = (terminal.Time.GetElapsedTime(_first.Value.At), batch.Done - _first.Value.Done);
        if (done <= 0 || took <= TimeSpan.Zero) return line;
        return line + string.Create(CultureInfo.InvariantCulture, $", {done / took.TotalSeconds:0.#} lines/s, {Duration(took * (batch.Total - batch.Done) / done)} left");
    }

    private void Tell(BatchRow batch)
    {
        var line = Line(batch);
        if (Draws)
        {
            var width = Math.Max(1, terminal.Progress.Profile.Width - 1);
            terminal.Progress.Profile.Out.Writer.Write($"{Clear}{PlainText.OneLine(line.Length <= width ? line : line[..width])}");
            terminal.Progress.Profile.Out.Writer.Flush();
        }
        else if (batch.Status != _status)
        {
            terminal.Fault(line);
        }

        _status = batch.Status;
    }

    private static string Duration(TimeSpan left) => left < TimeSpan.FromMinutes(1)
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(left.TotalSeconds):0} s")
        : left < TimeSpan.FromHours(1)
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(left.TotalMinutes):0} min")
            : string.Create(CultureInfo.InvariantCulture, $"{left.TotalHours:0.0} h");
}
