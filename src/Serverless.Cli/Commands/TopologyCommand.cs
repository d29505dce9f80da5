using System.CommandLine;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Cli.Embedded;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless topology</c>: the queues that the models of a folder need at RabbitMQ, and the settings; with <c>--declare</c> it makes them.</summary>
internal static class TopologyCommand
{
    public static Command Create(Terminal terminal)
    {
        var manifests = UpCommand.ManifestsOption();
        var broker = Addresses.CreateBroker();
        var prefix = new Option<string>("--prefix") { Description = "What the names of the queues begin with (RabbitMq:Prefix).", HelpName = "TEXT", DefaultValueFactory = _ => new RabbitMqOptions().Prefix };
        var release = new Option<BrokerVersion>("--release")
        {
            Description = "The RabbitMQ to print for; with --declare, the broker says it itself.",
            HelpName = "VERSION",
            DefaultValueFactory = _ => new BrokerVersion(4, 0),
            CustomParser = result =>
            {
                var version = BrokerVersion.Parse(result.Tokens[^1].Value);
                if (version == default) result.AddError($"--release is '{result.Tokens[^1].Value}', which is no version of RabbitMQ; write 4.0.");
                return version;
            },
        };
        var declare = new Option<bool>("--declare") { Description = "Declare the queues at the broker." };
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "topology",
            "Print the queues that the models need at RabbitMQ, with the settings they rely on; --declare makes them.",
            "serverless topology",
            "serverless topology --declare --broker amqp://guest:guest@127.0.0.1:5672/") { manifests, broker, prefix, release, declare, output };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var catalog = new FileCatalogSource(ModelsFolder.Of(parsed.GetValue(manifests)), EngineServices.KnownEngines());
            var models = catalog.Current.Models.Select(model => model.Name).ToArray();
            var options = new RabbitMqOptions { Url = parsed.GetValue(broker)!, Prefix = parsed.GetValue(prefix)! };
            var version = parsed.GetValue(release);
            IReadOnlyList<string> differences = [];
            if (parsed.GetValue(declare)) (version, differences) = await BrokerSetup.DeclareAsync(options, models, cancellationToken);

            var (queues, settings) = (new Topology(options.Prefix).Declarations(models, version, options.LongestWait), Topology.Settings(version, options));
            if (parsed.IsJson(output))
            {
                JsonText.Write(terminal, new { queues = queues.Select(queue => new { queue.Name, queue.Type, Durable = true, Arguments = queue.Arguments.ToDictionary(argument => argument.Key, argument => argument.Value?.ToString()) }), settings, differences });
                return ExitCode.Done;
            }

            Print(terminal, queues, settings);
            foreach (var difference in differences) terminal.Write($"differs: {difference}");
            if (parsed.GetValue(declare)) terminal.Write($"Declared at {options.Url.Host}:{options.Url.Port}, RabbitMQ {version}.");
            return ExitCode.Done;
        });
        return command;
    }

    private static void Print(Terminal terminal, IEnumerable<QueueDeclaration> queues, IReadOnlyList<string> settings)
    {
        terminal.WriteTable(Columns.Lines(
            ["queue", "type", "durable", "arguments"],
            queues.Select(queue => new[] { queue.Name, queue.Type, "yes", string.Join(", ", queue.Arguments.Select(argument => $"{argument.Key}={argument.Value}")) }),
            0..0,
            width: null));
        terminal.Write("");
        foreach (var setting in settings) terminal.Write(setting);
    }
}
