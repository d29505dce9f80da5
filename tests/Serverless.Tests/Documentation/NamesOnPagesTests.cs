using System.CommandLine;
using System.Text.RegularExpressions;
using Serverless.Cli.Commands;
using Serverless.Documentation;
using Serverless.Errors;
using Serverless.Tests.Cli;
using Shouldly;

namespace Serverless.Tests.Documentation;

/// <summary>What any page names is there: the table of one page is held against the code elsewhere, all pages against those tables here.</summary>
public sealed partial class NamesOnPagesTests
{
    /// <summary>Queues, topics and exchanges, which are named like metrics.</summary>
    private static readonly string[] NoMetrics = ["serverless.requests.dead", "serverless.requests.ordered", "dev.serverless.request.completed"];

    /// <summary>Options of other programs.</summary>
    private static readonly string[] OfOthers = ["--kube-api-qps", "--kube-api-burst", "--Section:Name", "--metrics", "--resources-path"];

    private static readonly (string Page, string Code)[] Codes =
    [
        .. DocumentedCommand.Pages(Repository.Root).Select(page => (Name: page, Text: Blocks().Replace(File.ReadAllText(Path.Combine(Repository.Root, page)), "").Replace("``", "", StringComparison.Ordinal)))
            .SelectMany(page => Page.Code(page.Text).Select(code => (page.Name, code))),
    ];

    [Fact]
    public void Every_key_is_one_that_is_bound()
    {
        var known = Page.Rows("configuration.md").Where(row => row.Length == 3 && row[0].StartsWith('`')).Select(row => row[0].Trim('`')).ToArray();
        var named = Codes.SelectMany(code => Key().Matches(code.Code.Replace("__", ":", StringComparison.Ordinal)).Select(match => (code.Page, Key: match.Value.TrimEnd(':')))).ToArray();
        named.Length.ShouldBeGreaterThan(150);

        named.Where(one => !known.Any(key => key == one.Key || key.StartsWith(one.Key, StringComparison.Ordinal) || one.Key.StartsWith(key + ":", StringComparison.Ordinal))).ShouldBeEmpty();
        foreach (var row in Page.Rows("distributed.md").Where(row => row.Length == 3 && Page.Code(row[0]).Any(section => known.Any(key => key.StartsWith(section + ":", StringComparison.Ordinal)))))
        {
            Page.Code(row[2]).Where(code => Name().IsMatch(code)).Where(name => !known.Any(key => key.StartsWith($"{row[0].Trim('`')}:{name}", StringComparison.Ordinal))).ShouldBeEmpty(row[0]);
        }
    }

    [Fact]
    public void Every_error_code_is_one_of_the_table()
    {
        var codes = ServingErrors.All.Select(row => row.Code).ToArray();
        var named = DocumentedCommand.Pages(Repository.Root).SelectMany(page => ErrorCode().Matches(File.ReadAllText(Path.Combine(Repository.Root, page))).Select(match => match.Groups[1].Value)).ToArray();

        named.Length.ShouldBeGreaterThan(5);
        named.Except(codes).ShouldBeEmpty();
    }

    [Fact]
    public void Every_metric_is_one_of_the_table()
    {
        var known = Page.Rows("metrics.md").Where(row => row.Length == 7).SelectMany(row => row[..2].SelectMany(Page.Code)).ToArray();
        var named = Codes.Where(code => code.Page != "docs/metrics.md").SelectMany(code => Metric().Matches(code.Code).Select(match => match.Value.TrimEnd('.'))).ToArray();

        named.Length.ShouldBeGreaterThan(5);
        named.Where(name => !NoMetrics.Contains(name, StringComparer.Ordinal) && !known.Any(metric => metric.StartsWith(name, StringComparison.Ordinal))).ShouldBeEmpty();
    }

    [Fact]
    public void Every_route_is_one_of_the_doors()
    {
        var doors = File.ReadAllLines(Path.Combine(Repository.Root, "docs", "architecture.md")).SkipWhile(line => line != "<!-- table: doors -->").TakeWhile(line => line != "## Loops").SelectMany(Page.Code).Where(code => code.StartsWith('/')).Select(Plain).ToHashSet(StringComparer.Ordinal);
        var named = Codes.SelectMany(code => Route().Matches(code.Code).Select(match => (code.Page, Route: Plain(match.Groups[1].Value)))).ToArray();

        named.Length.ShouldBeGreaterThan(30);
        named.Where(one => !doors.Any(door => door == one.Route || door.StartsWith(one.Route + "/", StringComparison.Ordinal))).ShouldBeEmpty();
    }

    [Fact]
    public void Every_option_is_one_of_the_tool()
    {
        var options = All(Tool.Create(new TestTerminal(isTerminal: false, 80).Terminal)).SelectMany(command => command.Options).SelectMany(option => option.Aliases.Append(option.Name)).ToHashSet(StringComparer.Ordinal);
        var named = Codes.Where(code => code.Code.StartsWith("--", StringComparison.Ordinal)).SelectMany(code => OptionName().Matches(code.Code).Select(match => match.Value)).ToArray();

        named.Length.ShouldBeGreaterThan(50);
        named.Except(options).Except(OfOthers).ShouldBeEmpty();
    }

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);

    private static string Plain(string route) => Parameter().Replace(route, "{}").Replace("…", "{}", StringComparison.Ordinal);

    [GeneratedRegex(@"```.*?```", RegexOptions.Singleline, 1000)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"(?<![\w:/.])(?:Gateway|Queue|Logging|Distributed|RabbitMq|Redis|Sessions|Dapr|Files|MassTransit|Keys|Worker|Scaler|Metrics):[A-Z][\w:]*", RegexOptions.None, 1000)]
    private static partial Regex Key();

    [GeneratedRegex(@"^[A-Z]\w+$", RegexOptions.None, 1000)]
    private static partial Regex Name();

    [GeneratedRegex(@"\b[45]\d\d `([a-z_]+)`", RegexOptions.None, 1000)]
    private static partial Regex ErrorCode();

    [GeneratedRegex(@"(?<![\w.])serverless(?:\.\w+\.[a-z_.]+|_[a-z_]+)", RegexOptions.None, 1000)]
    private static partial Regex Metric();

    [GeneratedRegex(@"^(?:(?:GET|POST|DELETE) )?(/(?:v1|admin|events|metrics|healthz|readyz)(?:/[^?\s]*)?)(?:\?|$)", RegexOptions.None, 1000)]
    private static partial Regex Route();

    [GeneratedRegex(@"--[A-Za-z][\w:-]*", RegexOptions.None, 1000)]
    private static partial Regex OptionName();

    [GeneratedRegex(@"\{[^}]*\}", RegexOptions.None, 1000)]
    private static partial Regex Parameter();
}
