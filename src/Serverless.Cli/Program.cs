using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Commands;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.RabbitMq;
using Spectre.Console;

var console = AnsiConsole.Console;
var root = new RootCommand("Serverless: LLMs from zero, on this machine or a cluster.")
{
    UpCommand.Create(console),
    RunCommand.Create(console, TimeProvider.System),
    ChatCommand.Create(console, TimeProvider.System),
    PoolsCommand.Create(console),
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
catch (Exception exception) when (exception is ServingClientException or CatalogException or BrokerException or IOException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
