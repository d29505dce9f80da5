using System.Globalization;
using Serverless.Cli.Client;
using Serverless.Cli.Shell;
using Serverless.Hosting.Telemetry;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary>Prints a streamed answer: a progress line while it waits, then its text as it comes.</summary>
internal sealed class AnswerPrinter(Terminal terminal)
{
    private readonly IAnsiConsole _console = terminal.Output;

    /// <summary>Prints the answer and returns its text.</summary>
    public async Task<string> PrintAsync(IAsyncEnumerable<ChatUpdate> updates, CancellationToken cancellationToken)
    {
        var started = terminal.Time.GetTimestamp();
        TimeSpan? firstToken = null;
        var text = new System.Text.StringBuilder();

        await using var reader = updates.GetAsyncEnumerator(cancellationToken);
        var more = await WaitForTextAsync(reader);
        for (; more; more = await reader.MoveNextAsync())
        {
            switch (reader.Current)
            {
                case ChatUpdate.Text update:
                    firstToken ??= terminal.Time.GetElapsedTime(started);
                    text.Append(update.Delta);
                    terminal.WriteAnswer(update.Delta);
                    terminal.ThrowIfReaderIsGone();
                    break;
                case ChatUpdate.Done done:
                    _console.WriteLine();
                    Summarise(done, firstToken, terminal.Time.GetElapsedTime(started));
                    break;
            }
        }

        return text.ToString();
    }

    /// <summary>Shows what the request waits for on one line that goes away; true when an update that is no waiting is current.</summary>
    private async Task<bool> WaitForTextAsync(IAsyncEnumerator<ChatUpdate> reader)
    {
        if (!terminal.Progress.Profile.Capabilities.Interactive) return await SkipWaitingAsync(reader, static _ => { });

        return await terminal.Progress.Status().Spinner(Spinner.Known.Dots).StartAsync(
            "waiting for the first token", status => SkipWaitingAsync(reader, waiting => status.Status(Markup.Escape(PlainText.OneLine(waiting.For)))));
    }

    private static async Task<bool> SkipWaitingAsync(IAsyncEnumerator<ChatUpdate> reader, Action<ChatUpdate.Waiting> show)
    {
        while (await reader.MoveNextAsync())
        {
            if (reader.Current is not ChatUpdate.Waiting waiting) return true;
            show(waiting);
        }

        return false;
    }

    private void Summarise(ChatUpdate.Done done, TimeSpan? firstToken, TimeSpan total)
    {
        if (!_console.Profile.Out.IsTerminal) return;

        var decoding = total - (firstToken ?? total);
        var rate = decoding > TimeSpan.Zero ? (done.CompletionTokens - 1) / decoding.TotalSeconds : 0;
        var summary = string.Create(
            CultureInfo.InvariantCulture,
            $"{done.PromptTokens} + {done.CompletionTokens} tokens, first after {firstToken?.TotalSeconds ?? 0:F2} s, then {rate:F0} tokens/s ({done.FinishReason})");
        terminal.Write(summary, new Style(Color.Grey));
    }
}
