using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Serverless.Cli.Commands;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Tests.Documentation;
using Shouldly;

namespace Serverless.Tests.Cli;

/// <summary>What README, docs and the help itself tell to type, against the tool.</summary>
public sealed partial class PageTests
{
    private static RootCommand Root => Tool.Create(new TestTerminal(isTerminal: false, 80).Terminal);

    [Fact]
    public void Every_command_line_of_a_page_is_understood()
    {
        string[] pages = [Path.Combine(Repository.Root, "README.md"), Path.Combine(Repository.Root, "CONTRIBUTING.md"), .. Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md")];
        var lines = pages.SelectMany(page => Lines(File.ReadAllText(page)).Select(line => (Page: Path.GetFileName(page), Line: line))).ToArray();
        lines.Length.ShouldBeGreaterThan(20);

        foreach (var (page, line) in lines) Understands(line).ShouldBeTrue($"{page}: {line}");
    }

    [Fact]
    public void Every_example_of_help_is_understood()
    {
        var examples = All(Root).OfType<ToolCommand>().SelectMany(command => command.Examples).ToArray();

        examples.Length.ShouldBeGreaterThan(20);
        foreach (var example in examples) Understands(ToolPart().Match(example).Value).ShouldBeTrue(example);
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

    private static bool Understands(string line)
    {
        var words = WordPattern().Matches(line).Select(word => word.Value.Trim('"', '\'')).ToArray();
        var parsed = Root.Parse(words[1..]);
        return parsed.Errors.Count == 0 || (parsed.UnmatchedTokens.Count == 0 && parsed.Tokens.All(token => token.Type == TokenType.Command)); // text may name a command alone
    }

    /// <summary>Lines of blocks, and code within text, that begin with the tool; a synopsis with brackets, bars or dots is none.</summary>
    private static IEnumerable<string> Lines(string page)
    {
        var blocks = BlockPattern().Matches(page).SelectMany(block => block.Groups[1].Value.Split('\n')).Select(line => line.Trim());
        var inline = Page.Code(BlockPattern().Replace(page, "")).Where(code => !code.AsSpan().ContainsAny("[]|…"));
        return blocks.Concat(inline).Select(line => ToolPart().Match(line)).Where(match => match.Success).Select(match => match.Value).Where(line => line.Contains(' ', StringComparison.Ordinal));
    }

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);

    /// <summary>From the tool's name to what a shell takes for itself.</summary>
    [GeneratedRegex(@"(?<=^|[(|] ?)(?:\./)?serverless(?: [^|<>&)#]+)?", RegexOptions.None, 1000)]
    private static partial Regex ToolPart();

    [GeneratedRegex(@"```\w*\n(.*?)```", RegexOptions.Singleline, 1000)]
    private static partial Regex BlockPattern();

    [GeneratedRegex("\"[^\"]*\"|'[^']*'|\\S+", RegexOptions.None, 1000)]
    private static partial Regex WordPattern();

    [GeneratedRegex("^[A-Z][A-Z_]+$", RegexOptions.None, 1000)]
    private static partial Regex VariableName();
}
