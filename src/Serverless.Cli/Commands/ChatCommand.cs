using System.CommandLine;
using Serverless.Cli.Client;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless chat</c>: a conversation with a model of a running gateway.</summary>
internal static class ChatCommand
{
    public static Command Create(IAnsiConsole console, TimeProvider time)
    {
        var url = ServerOption.Create();
        var key = ApiKeyOption.Create();
        var model = new Option<string?>("--model") { Description = "The model to talk to; the first one served if not given." };
        var temperature = new Option<double>("--temperature") { Description = "0 is greedy, 1 as the model was trained.", DefaultValueFactory = _ => 0.7 };
        var command = new Command("chat", "Talk to a model of a running gateway. An empty line or /bye ends it, /new starts over.") { url, key, model, temperature };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = new ServingClient(parsed.GetValue(url)!, parsed.GetValue(key));
            var name = parsed.GetValue(model) ?? await client.FirstModelAsync(cancellationToken);
            return await TalkAsync(console, time, client, new ChatSettings(name, parsed.GetValue(temperature), null), cancellationToken);
        });
        return command;
    }

    private static async Task<int> TalkAsync(IAnsiConsole console, TimeProvider time, ServingClient client, ChatSettings settings, CancellationToken cancellationToken)
    {
        console.MarkupLine($"[grey]talking to {Markup.Escape(settings.Model)}; /new starts over, /bye ends[/]");
        List<ChatTurn> conversation = [];
        while (await AskAsync(console, cancellationToken) is { Length: > 0 } line && line != "/bye")
        {
            if (line == "/new")
            {
                conversation.Clear();
                continue;
            }

            conversation.Add(new ChatTurn("user", line));
            try
            {
                var answer = await new AnswerPrinter(console, time).PrintAsync(client.ChatAsync(conversation, settings, cancellationToken), cancellationToken);
                conversation.Add(new ChatTurn("assistant", answer));
            }
            catch (ServingClientException exception)
            {
                console.MarkupLine($"[red]{Markup.Escape(exception.Message)}[/]");
                conversation.RemoveAt(conversation.Count - 1);
            }
        }

        return 0;
    }

    private static async Task<string?> AskAsync(IAnsiConsole console, CancellationToken cancellationToken)
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsInputRedirected) return await Console.In.ReadLineAsync(cancellationToken);

        return await console.PromptAsync(new TextPrompt<string>("[bold]>[/]").AllowEmpty(), cancellationToken);
    }
}
