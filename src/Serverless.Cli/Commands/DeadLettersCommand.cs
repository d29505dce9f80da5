using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless dead-letters list | show | redrive | remove</c>: what was given up, and what to do with it. Through a gateway, which has the queue and the log that a redrive needs.</summary>
internal static class DeadLettersCommand
{
    public static Command Create(IAnsiConsole console) => new("dead-letters", "What a running gateway gave up, with the reason: list, show, send again, or remove.")
    {
        List(console),
        OfOne("show", "Show one with its body, prompt and all.", (client, id, cancellationToken) => ShowAsync(console, client, id, cancellationToken)),
        OfMany("redrive", "Send them again, each as a new request.", async (client, id, cancellationToken) =>
            console.WriteLine($"{id} runs again as {await client.RedriveAsync(id, cancellationToken)}")),
        OfMany("remove", "Remove them for good.", async (client, id, cancellationToken) =>
        {
            await client.RemoveDeadLetterAsync(id, cancellationToken);
            console.WriteLine($"{id} is removed");
        }),
    };

    private static Command List(IAnsiConsole console)
    {
        var (url, key) = (ServerOption.Create(), ApiKeyOption.Create());
        var limit = new Option<int>("--limit") { Description = "At most so many, the oldest first.", DefaultValueFactory = _ => 100 };
        var command = new Command("list", "List them, the oldest first.") { url, key, limit };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = new ServingClient(parsed.GetValue(url)!, parsed.GetValue(key));
            var table = new Table().Border(TableBorder.Simple).AddColumns("id", "model", "when", "attempts", "bytes", "error", "last error");
            foreach (var letter in await client.DeadLettersAsync(parsed.GetValue(limit), cancellationToken))
            {
                table.AddRow(
                    Markup.Escape(letter.Id),
                    Markup.Escape(letter.Model),
                    When(letter),
                    letter.Attempts.ToString(CultureInfo.InvariantCulture),
                    letter.Bytes.ToString("N0", CultureInfo.InvariantCulture),
                    Markup.Escape(letter.Error),
                    Markup.Escape(letter.Message));
            }

            console.Write(table);
        });
        return command;
    }

    private static Command OfOne(string name, string description, Func<ServingClient, string, CancellationToken, Task> act)
    {
        var (url, key) = (ServerOption.Create(), ApiKeyOption.Create());
        var id = new Argument<string>("id") { Description = "As list shows it." };
        var command = new Command(name, description) { id, url, key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = new ServingClient(parsed.GetValue(url)!, parsed.GetValue(key));
            await act(client, parsed.GetValue(id)!, cancellationToken);
        });
        return command;
    }

    private static Command OfMany(string name, string description, Func<ServingClient, string, CancellationToken, Task> act)
    {
        var (url, key) = (ServerOption.Create(), ApiKeyOption.Create());
        var ids = new Argument<string[]>("id") { Description = "As list shows them.", Arity = ArgumentArity.OneOrMore };
        var command = new Command(name, description) { ids, url, key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = new ServingClient(parsed.GetValue(url)!, parsed.GetValue(key));
            foreach (var id in parsed.GetValue(ids)!) await act(client, id, cancellationToken);
        });
        return command;
    }

    private static async Task ShowAsync(IAnsiConsole console, ServingClient client, string id, CancellationToken cancellationToken)
    {
        var letter = await client.DeadLetterAsync(id, cancellationToken);
        console.WriteLine($"id:         {letter.Id}");
        if (letter.Model.Length > 0) console.WriteLine($"model:      {letter.Model}");
        console.WriteLine($"given up:   {When(letter)}, after {letter.Attempts} attempts");
        console.WriteLine($"error:      {letter.Error}");
        console.WriteLine($"last error: {letter.Message}");
        console.WriteLine();
        console.WriteLine(letter.Body ?? "");
    }

    private static string When(DeadLetterRow letter) => letter.At.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
