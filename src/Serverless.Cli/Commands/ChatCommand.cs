using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless chat</c>: a conversation with a model of a running gateway.</summary>
internal static class ChatCommand
{
    public static Command Create(Terminal terminal)
    {
        var model = new Option<string?>("--model") { Description = "The model to talk to; the first one served if not given." };
        var temperature = TemperatureOption();
        var command = new ToolCommand(
            "chat",
            "Talk to a model of a running gateway. An empty line or /bye ends it, /new starts over.",
            "serverless chat",
            "serverless chat --model smollm2-135m-instruct --temperature 0",
            "echo 'Hello!' | serverless chat --url https://models.example.com/llm") { model, temperature };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var name = await ModelChoice.OfAsync(client, parsed.GetValue(model), cancellationToken);
            return await TalkAsync(terminal, client, new ChatSettings(name, parsed.GetValue(temperature), null), cancellationToken);
        });
        return command;
    }

    /// <summary>Where it is not given nothing is sent: the model knows best how its tokens are chosen.</summary>
    public static Option<double?> TemperatureOption() =>
        new("--temperature") { Description = "0 is greedy, 1 as the model was trained; the model's own default if not given.", HelpName = "T", CustomParser = Numbers.MaybeBetween(0.0, 2.0) };

    private static async Task<int> TalkAsync(Terminal terminal, ServingClient client, ChatSettings settings, CancellationToken cancellationToken)
    {
        if (terminal.IsInputTyped) terminal.Write($"talking to {settings.Model}; /new starts over, /bye ends", new Style(Color.Grey));
        List<ChatTurn> conversation = [];
        while (await AskAsync(terminal, cancellationToken) is { Length: > 0 } line && line != "/bye")
        {
            if (line == "/new")
            {
                conversation.Clear();
                continue;
            }

            conversation.Add(new ChatTurn("user", line));
            try
            {
                var answer = await new AnswerPrinter(terminal).PrintAsync(client.ChatAsync(conversation, settings, cancellationToken), cancellationToken);
                conversation.Add(new ChatTurn("assistant", answer));
            }
            catch (ServingClientException exception) when (terminal.IsInputTyped)
            {
                // A person may ask again; a script is to stop.
                terminal.Write(exception.Message, new Style(Color.Red));
                conversation.RemoveAt(conversation.Count - 1);
            }
        }

        return ExitCode.Done;
    }

    private static async Task<string?> AskAsync(Terminal terminal, CancellationToken cancellationToken)
    {
        if (!terminal.IsInputTyped || !terminal.Output.Profile.Capabilities.Interactive) return await terminal.Input.ReadLineAsync(cancellationToken);

        return await terminal.Output.PromptAsync(new TextPrompt<string>("[bold]>[/]").AllowEmpty(), cancellationToken);
    }
}
