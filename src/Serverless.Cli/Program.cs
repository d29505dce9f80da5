using System.CommandLine;
using Microsoft.AspNetCore.Connections;
using Serverless.Cli.Client;
using Serverless.Cli.Commands;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.RabbitMq;
using Spectre.Console;

var console = AnsiConsole.Console;
if (!console.Profile.Out.IsTerminal) console.Profile.Width = 1000; // lines in a file are not wrapped
var root = new RootCommand("Serverless: LLMs from zero, on this machine or a cluster.")
{
    UpCommand.Create(console),
    RunCommand.Create(console, TimeProvider.System),
    ChatCommand.Create(console, TimeProvider.System),
    PoolsCommand.Create(console),
    KeysCommand.Create(Console.Out),
    DeadLettersCommand.Create(console),
    TopologyCommand.Create(console),
};

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OperationCanceledException)
{
    return 130;
}
catch (Exception exception) when (exception is ServingClientException or CatalogException or BrokerException or IOException or FormatException)
{
    Console.Error.WriteLine(exception.InnerException is AddressInUseException ? $"{exception.Message} Give another with --port." : exception.Message);
    return 1;
}
