using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Embedded;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless run "prompt"</c>: the whole platform for one answer, from zero, on a port of its own.</summary>
internal static class RunCommand
{
    public static Command Create(IAnsiConsole console, TimeProvider time)
    {
        var prompt = new Argument<string>("prompt") { Description = "What to ask." };
        var model = new Option<string?>("--model") { Description = "The model to ask; the first one served if not given." };
        var manifests = UpCommand.ManifestsOption();
        var temperature = new Option<double>("--temperature") { Description = "0 is greedy.", DefaultValueFactory = _ => 0 };
        var limit = new Option<int?>("--max-tokens") { Description = "Longest answer; what the context leaves if not given." };
        var command = new Command("run", "Start the platform, answer one prompt, and exit.") { prompt, model, manifests, temperature, limit };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            await using var host = EmbeddedHost.Build(new EmbeddedOptions { Port = 0, Manifests = parsed.GetValue(manifests), Quiet = true });
            await host.StartAsync(cancellationToken);

            using var client = new ServingClient(EmbeddedHost.Address(host));
            var name = parsed.GetValue(model) ?? await client.FirstModelAsync(cancellationToken);
            var settings = new ChatSettings(name, parsed.GetValue(temperature), parsed.GetValue(limit));
            await new AnswerPrinter(console, time).PrintAsync(client.ChatAsync([new ChatTurn("user", parsed.GetValue(prompt)!)], settings, cancellationToken), cancellationToken);

            await host.StopAsync(cancellationToken);
            return 0;
        });
        return command;
    }
}
