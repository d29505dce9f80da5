using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.RegularExpressions;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Parsing;

/// <summary>What is wrong with a command line, in a sentence each, and where its help is.</summary>
internal static partial class ParseFaults
{
    public static int Print(Terminal terminal, ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        foreach (var sentence in Sentences(parsed, command)) terminal.Fault(sentence);
        terminal.Fault($"See '{HelpPrinter.PathOf(command)} --help'.");
        return ExitCode.Usage;
    }

    private static IEnumerable<string> Sentences(ParseResult parsed, Command command)
    {
        var unknown = false;
        foreach (var message in parsed.Errors.Select(error => Reword(error)).Distinct(StringComparer.Ordinal))
        {
            var match = Unrecognized().Match(message);
            if (!match.Success)
            {
                yield return message;
            }
            else if (!unknown)
            {
                unknown = true; // what follows it was meant for it
                yield return Unknown(command, match.Groups[1].Value);
            }
        }
    }

    private static string Unknown(Command command, string word)
    {
        var isOption = word.StartsWith('-');
        var names = isOption
            ? command.Options.Concat(command.Parents.OfType<Command>().SelectMany(parent => parent.Options.Where(option => option.Recursive))).Where(option => !option.Hidden).Select(option => option.Name)
            : command.Subcommands.Select(sub => sub.Name);
        var kind = isOption ? "option" : command.Subcommands.Count > 0 ? "command" : "argument";
        var hint = NearName.Find(word, names) is { } near ? $" Did you mean '{near}'?" : "";
        return $"'{HelpPrinter.PathOf(command)}' has no {kind} '{word}'.{hint}";
    }

    /// <summary>The parser's own sentences that name a type of .NET, or not what is missing.</summary>
    private static string Reword(ParseError error)
    {
        var symbol = error.SymbolResult;
        while (symbol is not null and not OptionResult && symbol.Parent is OptionResult) symbol = symbol.Parent;
        var name = symbol switch { OptionResult option => option.Option.Name, ArgumentResult argument => argument.Argument.Name.ToUpperInvariant(), _ => null };
        if (name is not null && error.Message.StartsWith("Required argument missing", StringComparison.Ordinal)) return symbol is OptionResult ? $"{name} is given without a value." : $"{name} is missing.";
        if (name is not null && OneOf().Match(error.Message) is { Success: true } match)
        {
            return $"{name} is '{match.Groups[1].Value}'; give one of {string.Join(", ", match.Groups[2].Value.Split('\'', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))}.";
        }

        return RequiredOption().Match(error.Message) is { Success: true } required ? $"{required.Groups[1].Value} is missing." : error.Message;
    }

    [GeneratedRegex("^Unrecognized command or argument '(.*)'", RegexOptions.Singleline, 1000)]
    private static partial Regex Unrecognized();

    [GeneratedRegex(@"^Argument '(.*)' not recognized\. Must be one of:\s*(.*)$", RegexOptions.Singleline, 1000)]
    private static partial Regex OneOf();

    [GeneratedRegex("^Option '(.*)' is required", RegexOptions.None, 1000)]
    private static partial Regex RequiredOption();
}
