using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary>The whole tool: <c>serverless</c> and its commands.</summary>
internal static class Tool
{
    /// <summary>Runs a command line; what the process is to end with. Never throws: a fault is a sentence or two on standard error.</summary>
    /// <param name="args">The command line.</param>
    /// <param name="terminal">What is around it.</param>
    /// <param name="interrupted">Ends it in good order.</param>
    /// <param name="whenInterrupted">What it ends with then.</param>
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken interrupted, Func<int>? whenInterrupted = null)
    {
        var root = Create(terminal, out var debug);
        var parsed = root.Parse(args);
        if (parsed.Action is ParseErrorAction) return ParseFaults.Print(terminal, parsed);

        try
        {
            var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null, Output = terminal.Output.Profile.Out.Writer, Error = terminal.Error };
            return await parsed.InvokeAsync(invocation, interrupted);
        }
        catch (ReaderGoneException)
        {
            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (interrupted.IsCancellationRequested)
        {
            return whenInterrupted?.Invoke() ?? ExitCode.Interrupted;
        }
        catch (Exception exception)
        {
            foreach (var sentence in Faults.Sentences(exception)) terminal.Fault(sentence);
            if (parsed.GetValue(debug) || terminal.Variable(Faults.DebugVariable) is not null) terminal.Fault(exception.ToString());
            return exception is ToolException fault ? fault.ExitCode : ExitCode.Failed;
        }
    }

    /// <summary>The tree of commands.</summary>
    public static RootCommand Create(Terminal terminal) => Create(terminal, out _);

    private static RootCommand Create(Terminal terminal, out Option<bool> debug)
    {
        debug = new Option<bool>("--debug") { Description = $"Show where a fault came from; {Faults.DebugVariable}=1 does too.", Recursive = true, Hidden = true };
        var help = new HelpPrinter(terminal);
        var root = new RootCommand("Serverless: language models from zero, on this machine or a cluster.")
        {
            UpCommand.Create(terminal),
            RunCommand.Create(terminal),
            ChatCommand.Create(terminal),
            PoolsCommand.Create(terminal),
            ExplainCommand.Create(terminal),
            DeadLettersCommand.Create(terminal),
            BatchCommand.Create(terminal),
            EventsCommand.Create(terminal),
            KeysCommand.Create(terminal),
            ModelsCommand.Create(terminal),
            ClassesCommand.Create(terminal),
            RecipesCommand.Create(terminal),
            SimulateCommand.Create(terminal),
            TopologyCommand.Create(terminal),
            CompletionCommand.Create(terminal),
        };
        root.Options.Clear();
        root.Options.Add(new HelpOption("--help", "-h") { Description = "Show help.", Action = help });
        root.Options.Add(new VersionOption("--version", "-v") { Description = "Show the version.", Action = new VersionPrinter(terminal) });
        root.Options.Add(debug);
        if (!root.Directives.OfType<SuggestDirective>().Any()) root.Add(new SuggestDirective());
        foreach (var group in root.Subcommands.Where(command => command.Subcommands.Count > 0).Append(root)) group.SetAction(_ => help.Print(group));
        return root;
    }

    private sealed class VersionPrinter(Terminal terminal) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            terminal.Output.Profile.Out.Writer.WriteLine($"serverless {ToolVersion.Text}");
            return ExitCode.Done;
        }
    }
}
