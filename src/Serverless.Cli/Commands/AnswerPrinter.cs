using System.Globalization;
using Serverless.Cli.Client;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary>Prints a streamed answer: a progress line while it waits, then its text as it comes.</summary>
internal sealed class AnswerPrinter(IAnsiConsole console, TimeProvider time)
{
    // On standard error, so that a redirected answer is the answer alone.
    private static readonly IAnsiConsole Progress = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });


    /// <summary>Prints the answer and returns its text.</summary>
    public async Task<string> PrintAsync(IAsyncEnumerable<ChatUpdate> updates, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        TimeSpan? firstToken = null;
        var text = new System.Text.StringBuilder();

        await using var reader = updates.GetAsyncEnumerator(cancellationToken);
        var more = await WaitForTextAsync(reader);
        for (; more; more = await reader.MoveNextAsync())
        {
            switch (reader.Current)
            {
                case ChatUpdate.Text update:
                    firstToken ??= time.GetElapsedTime(started);
                    text.Append(update.Delta);
                    console.Profile.Out.Writer.Write(update.Delta);
                    await console.Profile.Out.Writer.FlushAsync(cancellationToken);
                    break;
                case ChatUpdate.Done done:
                    console.WriteLine();
                    Summarise(done, firstToken, time.GetElapsedTime(started));
                    break;
            }
        }

        return text.ToString();
    }

    /// <summary>Shows what the request waits for on one line that goes away; true when an update that is no waiting is current.</summary>
    private static async Task<bool> WaitForTextAsync(IAsyncEnumerator<ChatUpdate> reader) =>
        await Progress.Status().Spinner(Spinner.Known.Dots).StartAsync("waiting for the first token", async status =>
        {
            while (await reader.MoveNextAsync())
            {
                if (reader.Current is not ChatUpdate.Waiting waiting) return true;
                status.Status(Markup.Escape(waiting.For));
            }

            return false;
        });

    private void Summarise(ChatUpdate.Done done, TimeSpan? firstToken, TimeSpan total)
    {
        if (!console.Profile.Out.IsTerminal) return;

        var decoding = total - (firstToken ?? total);
        var rate = decoding > TimeSpan.Zero ? (done.CompletionTokens - 1) / decoding.TotalSeconds : 0;
        console.MarkupLine(string.Create(
            CultureInfo.InvariantCulture,
            $"[grey]{done.PromptTokens} + {done.CompletionTokens} tokens, first after {firstToken?.TotalSeconds ?? 0:F2} s, then {rate:F0} tokens/s ({done.FinishReason})[/]"));
    }
}
