using System.CommandLine;
using Serverless.Cli.Embedded;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.RabbitMq.Connection;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless topology</c>: the queues that the models of a folder need at RabbitMQ, and the settings; with <c>--declare</c> it makes them.</summary>
internal static class TopologyCommand
{
    public static Command Create(IAnsiConsole console)
    {
        var manifests = UpCommand.ManifestsOption();
        var broker = ServerOption.CreateBroker();
        var prefix = new Option<string>("--prefix") { Description = "What the names of the queues begin with (RabbitMq:Prefix).", DefaultValueFactory = _ => new RabbitMqOptions().Prefix };
        var release = new Option<string>("--release") { Description = "The RabbitMQ to print for; with --declare, the broker says it itself.", DefaultValueFactory = _ => "4.0" };
        var declare = new Option<bool>("--declare") { Description = "Declare the queues at the broker." };
        var command = new Command("topology", "Print the queues that the models need at RabbitMQ, with the settings they rely on; --declare makes them.") { manifests, broker, prefix, release, declare };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var catalog = new FileCatalogSource(parsed.GetValue(manifests) ?? ModelsFolder.Find());
            var models = catalog.Current.Models.Select(model => model.Name).ToArray();
            var options = new RabbitMqOptions { Url = parsed.GetValue(broker)!, Prefix = parsed.GetValue(prefix)! };
            var version = BrokerVersion.Parse(parsed.GetValue(release)!);
            IReadOnlyList<string> differences = [];
            if (parsed.GetValue(declare)) (version, differences) = await BrokerSetup.DeclareAsync(options, models, cancellationToken);

            Print(console, new Topology(options.Prefix).Declarations(models, version, options.LongestWait), Topology.Settings(version, options));
            foreach (var difference in differences) console.WriteLine($"differs: {difference}");
            if (parsed.GetValue(declare)) console.WriteLine($"Declared at {options.Url.Host}:{options.Url.Port}, RabbitMQ {version}.");
        });
        return command;
    }

    private static void Print(IAnsiConsole console, IReadOnlyList<QueueDeclaration> queues, IReadOnlyList<string> settings)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("queue", "type", "durable", "arguments");
        foreach (var queue in queues) table.AddRow(Markup.Escape(queue.Name), queue.Type, "yes", Markup.Escape(string.Join(", ", queue.Arguments.Select(argument => $"{argument.Key}={argument.Value}"))));
        console.Write(table);
        foreach (var setting in settings) console.WriteLine(setting);
    }
}
