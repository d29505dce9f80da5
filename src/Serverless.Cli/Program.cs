using System.CommandLine;
using Microsoft.AspNetCore.Connections;
using Serverless.Cli.Client;
using Serverless.Cli.Commands;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.RabbitMq.Connection;
using Spectre.Console;

var console = AnsiConsole.Console;
if (!console.Profile.Out.IsTerminal) console.Profile.Width = 1000; // lines in a file are not wrapped
var root = new RootCommand("Serverless: LLMs from zero, on this machine or a cluster.")
{
    UpCommand.Create(console),
    RunCommand.Create(console, TimeProvider.System),
    ChatCommand.Create(console, TimeProvider.System),
    PoolsCommand.Create(console),
    ExplainCommand.Create(console),
    SimulateCommand.Create(console),
    DeadLettersCommand.Create(console),
    TopologyCommand.Create(console),
    KeysCommand.Create(Console.Out),
};

try
{
    using var interruption = new Interruption();
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, interruption.Token);
}
catch (OperationCanceledException)
{
    return 130;
}
catch (Exception exception) when (exception is ServingClientException or CatalogException or IOException or BrokerException or FormatException)
{
    Console.Error.WriteLine(exception.InnerException is AddressInUseException ? $"{exception.Message} Give another with --port." : exception.Message);
    return 1;
}
