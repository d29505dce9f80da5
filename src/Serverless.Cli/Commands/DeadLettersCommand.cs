using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless dead-letters list | show | redrive | remove</c>: what was given up, and what to do with it. Through a gateway, which has the queue and the log that a redrive needs.</summary>
internal static class DeadLettersCommand
{
    private const int MostListed = 1000;

    public static Command Create(Terminal terminal) => new ToolCommand("dead-letters", "What a running gateway gave up, with the reason: list, show, send again, or remove.", "serverless dead-letters list")
    {
        List(terminal),
        ShowOne(terminal),
        OfMany(terminal, "redrive", "Send them again, each as a new request.", async (client, id, cancellationToken) => $"{id} runs again as {await client.RedriveAsync(id, cancellationToken)}"),
        OfMany(terminal, "remove", "Remove them for good.", async (client, id, cancellationToken) =>
        {
            await client.RemoveDeadLetterAsync(id, cancellationToken);
            return $"{id} is removed";
        }),
    };

    private static ToolCommand List(Terminal terminal)
    {
        var limit = new Option<int>("--limit") { Description = "At most so many, the oldest first.", HelpName = "N", DefaultValueFactory = _ => 100, CustomParser = Numbers.Between(1, MostListed) };
        var output = OutputOption.Create();
        var command = new ToolCommand("list", "List them, the oldest first.", "serverless dead-letters list", "serverless dead-letters list --output json | jq -r '.data[].id'") { limit, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var letters = await client.DeadLettersAsync(parsed.GetValue(limit), cancellationToken);
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { data = letters.Select(letter => letter.Json) });
            else Print(terminal, letters);
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand ShowOne(Terminal terminal)
    {
        var id = new Argument<string>("id") { Description = "As list shows it." };
        var output = OutputOption.Create();
        var command = new ToolCommand("show", "Show one with its body, prompt and all.", "serverless dead-letters show chatcmpl-0123") { id, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var letter = await client.DeadLetterAsync(parsed.GetValue(id)!, cancellationToken);
            if (parsed.IsJson(output)) JsonText.Write(terminal, letter.Json);
            else Print(terminal, letter);
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand OfMany(Terminal terminal, string name, string description, Func<ServingClient, string, CancellationToken, Task<string>> act)
    {
        var ids = new Argument<string[]>("id") { Description = "As list shows them.", Arity = ArgumentArity.OneOrMore };
        var command = new ToolCommand(name, description, $"serverless dead-letters {name} chatcmpl-0123 chatcmpl-4567") { ids };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            foreach (var id in parsed.GetValue(ids)!) terminal.Write(await act(client, id, cancellationToken));
            return ExitCode.Done;
        });
        return command;
    }

    private static void Print(Terminal terminal, IReadOnlyList<DeadLetterRow> letters)
    {
        if (letters.Count == 0)
        {
            terminal.Write("No dead letters: nothing was given up.");
            return;
        }

        terminal.WriteTable(Columns.Lines(
            ["id", "model", "when", "attempts", "bytes", "error", "last error"],
            letters.Select(letter => new[]
            {
                letter.Id,
                letter.Model,
                terminal.Local(letter.At),
                letter.Attempts.ToString(CultureInfo.InvariantCulture),
                letter.Bytes.ToString("N0", CultureInfo.InvariantCulture),
                letter.Error,
                letter.Message,
            }),
            3..5,
            terminal.Output.Profile.Width));
    }

    private static void Print(Terminal terminal, DeadLetterRow letter)
    {
        terminal.Write($"id:         {letter.Id}");
        if (letter.Model.Length > 0) terminal.Write($"model:      {letter.Model}");
        terminal.Write($"given up:   {terminal.Local(letter.At)}, after {letter.Attempts} attempts");
        terminal.Write($"error:      {letter.Error}");
        terminal.Write($"last error: {letter.Message}");
        terminal.Write("");
        terminal.WriteAnswer($"{letter.Body}\n");
    }
}
