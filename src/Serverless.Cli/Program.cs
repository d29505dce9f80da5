using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Commands;
using Serverless.Hosting.Manifests;
using Spectre.Console;

var console = AnsiConsole.Console;
var root = new RootCommand("Serverless: LLMs from zero, on this machine or a cluster.")
{
    UpCommand.Create(console),
    RunCommand.Create(console, TimeProvider.System),
    ChatCommand.Create(console, TimeProvider.System),
    PoolsCommand.Create(console),
    ExplainCommand.Create(console),
    SimulateCommand.Create(console),
};

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OperationCanceledException)
{
    return 130;
}
catch (Exception exception) when (exception is ServingClientException or CatalogException or IOException or FormatException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
