using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Embedded;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless run "prompt"</c>: the whole platform for one answer, from zero, on a port of its own.</summary>
internal static class RunCommand
{
    public static Command Create(Terminal terminal)
    {
        var prompt = new Argument<string>("prompt") { Description = "What to ask." };
        var model = new Option<string?>("--model") { Description = "The model to ask; the first one served if not given." };
        var manifests = UpCommand.ManifestsOption();
        var temperature = ChatCommand.TemperatureOption();
        var limit = new Option<int?>("--max-tokens") { Description = "Longest answer; what the context leaves if not given.", HelpName = "N", CustomParser = Numbers.MaybeBetween(1, 10_000_000) };
        var command = new ToolCommand(
            "run",
            "Start the platform, answer one prompt, and exit.",
            "serverless run 'What is the opposite of hot?'",
            "serverless run 'Tell me a story.' --max-tokens 200 > story.txt") { prompt, model, manifests, temperature, limit };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var options = new EmbeddedOptions { Port = 0, Manifests = ModelsFolder.Of(parsed.GetValue(manifests)), Quiet = true };
            await using var host = EmbeddedHost.Build(options);
            await EmbeddedHost.StartAsync(host, options, cancellationToken);

            var server = EmbeddedHost.Address(host);
            using var client = new ServingClient(server, apiKey: null, terminal.Connect(server));
            var name = await ModelChoice.OfAsync(client, parsed.GetValue(model), cancellationToken);
            var settings = new ChatSettings(name, parsed.GetValue(temperature), parsed.GetValue(limit));
            await new AnswerPrinter(terminal).PrintAsync(client.ChatAsync([new ChatTurn("user", parsed.GetValue(prompt)!)], settings, cancellationToken), cancellationToken);

            await host.StopAsync(cancellationToken);
            return ExitCode.Done;
        });
        return command;
    }
}
