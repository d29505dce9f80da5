using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Serverless.Cli.Commands;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Documentation;
using Serverless.Tests.Documentation;
using Shouldly;

namespace Serverless.Tests.Cli;

/// <summary>What README, docs and the help itself tell to type, against the tool.</summary>
public sealed partial class PageTests
{
    private static RootCommand Root => Tool.Create(new TestTerminal(isTerminal: false, 80).Terminal);

    /// <summary>DocumentedCommandsTests (end to end) run them all; here what the tool itself would refuse is found at once.</summary>
    [Fact]
    public void Every_command_line_of_a_page_is_understood()
    {
        var commands = DocumentedCommand.Pages(Repository.Root).SelectMany(page => DocumentedCommand.Of(Repository.Root, page)).SelectMany(command => command.Programs.Where(words => words[0] is "./serverless" or "serverless").Select(words => (command, words))).ToArray();
        commands.Length.ShouldBeGreaterThan(40);

        foreach (var (command, words) in commands) Understands(words.Skip(1)).ShouldBeTrue($"{command}");
    }

    /// <summary>A block that says nothing of its language may hold commands that no test runs.</summary>
    [Fact]
    public void Every_block_of_a_page_says_what_it_is()
    {
        string[] shown = ["text", "http", "json", "yaml", "mermaid"];
        var scripts = new Dictionary<string, string[]>(StringComparer.Ordinal)
        {
            ["docs/requests.md"] = ["bash", "python", "csharp"], // RequestSnippetTests run these as they stand
            ["docs/messaging.md"] = ["csharp"], // MessagingPageTests find each line in the sample, whose commands are run
            ["src/Serverless.Contracts/README.md"] = ["csharp"], // and each of these in ContractsReadmeTests
        };
        foreach (var page in DocumentedCommand.Pages(Repository.Root))
        {
            foreach (var (line, language) in DocumentedCommand.Blocks(Repository.Root, page))
            {
                (language == "sh" || shown.Contains(language, StringComparer.Ordinal) || scripts.GetValueOrDefault(page)?.Contains(language, StringComparer.Ordinal) == true)
                    .ShouldBeTrue($"{page}:{line}: a block is 'sh' where it holds commands, a line each, which a test runs; '{string.Join("', '", shown)}' where it is to be looked at; scripts in other languages are in {string.Join(" and ", scripts.Keys)}. This one is '{language}'.");
            }
        }
    }

    [Fact]
    public void Every_example_of_help_is_understood()
    {
        var examples = All(Root).OfType<ToolCommand>().SelectMany(command => command.Examples).ToArray();

        examples.Length.ShouldBeGreaterThan(20);
        foreach (var example in examples) Understands(WordPattern().Matches(ToolPart().Match(example).Value).Select(word => word.Value.Trim('"', '\'')).Skip(1)).ShouldBeTrue(example);
    }

    [Fact]
    public void Every_command_has_examples_and_a_row()
    {
        All(Root).ShouldAllBe(command => command is RootCommand || ((ToolCommand)command).Examples.Count > 0);
        var rows = Page.Rows("cli.md").SelectMany(row => Page.Code(row[0])).Where(code => code.StartsWith("serverless ", StringComparison.Ordinal)).Select(code => code.Split(' ')[1]);

        rows.ShouldBe(Root.Subcommands.Select(command => command.Name), ignoreOrder: true);
    }

    [Fact]
    public void The_page_has_the_exit_codes_and_the_variables()
    {
        var codes = typeof(ExitCode).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => ((int)field.GetRawConstantValue()!).ToString(CultureInfo.InvariantCulture));
        Page.Rows("cli.md").Select(row => row[0]).Where(cell => cell.All(char.IsAsciiDigit)).ShouldBe(codes);

        string[] variables = [GatewayOptions.UrlVariable, GatewayOptions.KeyVariable, Faults.DebugVariable, Terminal.NoColorVariable];
        Page.Rows("cli.md").Where(row => row.Length == 2).SelectMany(row => Page.Code(row[0])).Where(code => VariableName().IsMatch(code)).ShouldBe(variables);
    }

    private static bool Understands(IEnumerable<string> words)
    {
        var parsed = Root.Parse([.. words]);
        return parsed.Errors.Count == 0 || (parsed.UnmatchedTokens.Count == 0 && parsed.Tokens.All(token => token.Type == TokenType.Command)); // text may name a command alone
    }

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);

    /// <summary>From the tool's name to what a shell takes for itself.</summary>
    [GeneratedRegex(@"(?<=^|[(|] ?)(?:\./)?serverless(?: [^|<>&)#]+)?", RegexOptions.None, 1000)]
    private static partial Regex ToolPart();

    [GeneratedRegex("\"[^\"]*\"|'[^']*'|\\S+", RegexOptions.None, 1000)]
    private static partial Regex WordPattern();

    [GeneratedRegex("^[A-Z][A-Z_]+$", RegexOptions.None, 1000)]
    private static partial Regex VariableName();
}
