using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Globalization;
using System.Text;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Parsing;

/// <summary>The help of a command: what it does, how it is written, its options with their defaults, examples. At most 100 columns.</summary>
internal sealed class HelpPrinter(Terminal terminal) : SynchronousCommandLineAction
{
    private const string Tool = "serverless";
    private static readonly string[] FirstSteps = ["serverless up", "serverless chat", "serverless pools --watch", "serverless run 'What is the opposite of hot?'"];

    private const int Widest = 100;
    private const int WidestFirstColumn = 30;

    public override int Invoke(ParseResult parseResult) => Print(parseResult.CommandResult.Command);

    public int Print(Command command)
    {
        terminal.Output.Profile.Out.Writer.Write(Write(command, Math.Min(Widest, terminal.Output.Profile.Width)));
        return ExitCode.Done;
    }

    /// <summary>A command's name with those above it: <c>serverless keys create</c>.</summary>
    public static string PathOf(Command command) =>
        command is RootCommand ? Tool : $"{(command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? PathOf(parent) : Tool)} {command.Name}";

    internal static string Write(Command command, int width)
    {
        var text = new StringBuilder();
        foreach (var line in Wrapping.Lines(command.Description ?? "", width)) text.Append(line).Append('\n');
        text.Append("\nUsage: ").Append(Usage(command)).Append('\n');
        Section(text, "Commands", [.. command.Subcommands.Where(sub => !sub.Hidden).Select(sub => (sub.Name, sub.Description ?? ""))], width);
        Section(text, "Arguments", [.. command.Arguments.Select(argument => (Placeholder(argument), argument.Description ?? ""))], width);
        Section(text, "Options", [.. Options(command).Select(option => (Label(option), Describe(option)))], width);
        text.Append("\nExamples:\n").AppendJoin("", ((command as ToolCommand)?.Examples ?? FirstSteps).Select(example => $"  {example}\n"));
        if (command.Subcommands.Count > 0) text.Append("\nMore of a command: ").Append(PathOf(command)).Append(" COMMAND --help\n");
        return text.ToString();
    }

    private static IEnumerable<Option> Options(Command command)
    {
        var own = command.Options.Where(option => !option.Hidden);
        var inherited = Above(command).SelectMany(parent => parent.Options).Where(option => option is { Recursive: true, Hidden: false });
        return own.Concat(inherited).OrderBy(option => option is HelpOption or VersionOption); // what every command has comes last
    }

    private static IEnumerable<Command> Above(Command command)
    {
        for (var parent = command.Parents.OfType<Command>().FirstOrDefault(); parent is not null; parent = parent.Parents.OfType<Command>().FirstOrDefault()) yield return parent;
    }

    private static string Usage(Command command)
    {
        var words = new List<string> { PathOf(command) };
        if (command.Subcommands.Count > 0) words.Add("COMMAND");
        words.AddRange(command.Arguments.Select(argument => argument.Arity.MinimumNumberOfValues == 0 ? $"[{Placeholder(argument)}]" : Placeholder(argument)));
        words.AddRange(command.Options.Where(option => option.Required).Select(Named));
        words.Add("[options]");
        return string.Join(' ', words);
    }

    private static string Placeholder(Argument argument) =>
        argument.Arity.MaximumNumberOfValues > 1 ? $"{argument.Name.ToUpperInvariant()}..." : argument.Name.ToUpperInvariant();

    private static string Label(Option option)
    {
        var shortName = option.Aliases.FirstOrDefault(alias => alias is ['-', not '-']);
        return shortName is null ? $"    {Named(option)}" : $"{shortName}, {Named(option)}";
    }

    private static string Named(Option option) => option.ValueType == typeof(bool) || option is HelpOption or VersionOption ? option.Name : $"{option.Name} {option.HelpName ?? option.Name.TrimStart('-').ToUpperInvariant()}";

    private static string Describe(Option option) => (option.Required, Default(option)) switch
    {
        (true, _) => $"{option.Description} (needed)",
        (_, { } value) => $"{option.Description} [{value}]",
        _ => option.Description ?? "",
    };

    private static string? Default(Option option) => !option.HasDefaultValue ? null : option.GetDefaultValue() switch
    {
        null or false or "" => null,
        TimeSpan duration => DurationText.Write(duration),
        IFormattable value => value.ToString(null, CultureInfo.InvariantCulture),
        var value => value.ToString(),
    };

    private static void Section(StringBuilder text, string title, IReadOnlyList<(string First, string Second)> rows, int width)
    {
        if (rows.Count == 0) return;

        text.Append('\n').Append(title).Append(":\n");
        var column = Math.Min(WidestFirstColumn, rows.Max(row => row.First.Length)) + 4;
        foreach (var (first, second) in rows)
        {
            var lines = Wrapping.Lines(second, Math.Max(20, width - column));
            text.Append("  ").Append(first.PadRight(column - 2));
            if (first.Length > column - 4) text.Append('\n').Append(' ', column);
            text.AppendJoin($"\n{new string(' ', column)}", lines).Append('\n');
        }

        text.Replace(" \n", "\n");
    }
}
