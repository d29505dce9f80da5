using System.Text.RegularExpressions;
using Shouldly;

namespace Serverless.Tests.Documentation;

/// <summary>docs/architecture.md against the source: the path by letters, the decisions by number, the loops by name.</summary>
public sealed partial class ArchitecturePageTests
{
    private const int LongestSpine = 30;
    private const int MostThatRuns = 70;
    private const int MostRequestTypes = 7;

    private static readonly Lazy<(string Path, string Text)[]> Sources = new(() =>
    [
        .. new[] { "src", "scalers" }
            .SelectMany(folder => Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal))
            .Select(file => (Path.GetRelativePath(Repository.Root, file), File.ReadAllText(file))),
    ]);

    [Fact]
    public void The_spine_names_files_that_are_there_and_is_short()
    {
        var spine = Rows("spine").Select(row => Code(row[1])).ToArray();

        spine.ShouldNotBeEmpty();
        spine.Where(file => !File.Exists(Path.Combine(Repository.Root, file))).ShouldBeEmpty("docs/architecture.md names files that are not there");
        spine.ShouldBeUnique();
        spine.Length.ShouldBeLessThanOrEqualTo(LongestSpine);
    }

    [Fact]
    public void What_else_runs_is_there_and_is_little()
    {
        var all = Rows("spine").Concat(Rows("beside")).Select(row => Code(row[1])).ToArray();

        all.Where(file => !File.Exists(Path.Combine(Repository.Root, file))).ShouldBeEmpty();
        all.ShouldBeUnique();
        all.Length.ShouldBeLessThanOrEqualTo(MostThatRuns);
    }

    [Fact]
    public void Each_letter_stands_where_the_page_says_and_nowhere_else()
    {
        var onThePage = Rows("spine").SelectMany(row => Letters().Matches(row[0]).Select(letter => $"{letter.Value} {Code(row[1])}"));
        // The scaler's rooms have letters of their own: docs/scaling.md.
        var inTheCode = Sources.Value.Where(source => !source.Path.Contains("/Scaling/", StringComparison.Ordinal) && !source.Path.Contains("Scaler", StringComparison.Ordinal))
            .SelectMany(source => Comments().Matches(source.Text).SelectMany(comment => Letters().Matches(comment.Value)).Select(letter => $"{letter.Value} {source.Path}"));

        onThePage.Distinct().Order(StringComparer.Ordinal).ShouldBe(inTheCode.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_request_is_described_by_few_types()
    {
        var types = Rows("types").Select(row => Code(row[0])).ToArray();

        types.Length.ShouldBeInRange(1, MostRequestTypes);
        foreach (var type in types) Sources.Value.ShouldContain(source => Regex.IsMatch(source.Text, $@"(record|class|struct) {type}\b", RegexOptions.None, TimeSpan.FromSeconds(1)), $"there is no type {type}");
    }

    [Fact]
    public void Decisions_are_named_where_they_explain_and_every_one_named_is_there()
    {
        var decisions = Directory.GetFiles(Path.Combine(Repository.Root, "docs", "adr"), "*.md").Select(file => int.Parse(Path.GetFileName(file)[..4], System.Globalization.CultureInfo.InvariantCulture)).ToHashSet();
        var named = Sources.Value.SelectMany(source => Decision().Matches(source.Text).Select(match => int.Parse(match.Groups[1].ValueSpan, System.Globalization.CultureInfo.InvariantCulture))).ToHashSet();
        var pages = Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md").Append(Path.Combine(Repository.Root, "CONTRIBUTING.md")).Select(File.ReadAllText).ToArray();

        named.Except(decisions).ShouldBeEmpty("the code names decisions that are not in docs/adr");
        decisions.Except(named).Where(number => !pages.Any(page => page.Contains($"adr/{number:0000}-", StringComparison.Ordinal))).ShouldBeEmpty("neither code nor pages name these decisions");
    }

    [Fact]
    public void The_loops_are_those_of_the_page()
    {
        var inTheCode = Sources.Value.SelectMany(source => LoopName().Matches(source.Text).Select(match => match.Groups[1].Value)).Distinct();

        Rows("loops").Select(row => Code(row[0])).Order(StringComparer.Ordinal).ShouldBe(inTheCode.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Nothing_runs_in_the_background_unsupervised()
    {
        // A task that nobody awaits is a loop without a name; these are short, end by themselves, and nothing waits for what they do.
        string[] known = ["DocumentIndex.cs", "RabbitMqStart.cs", "LeasedPlanner.cs", "LogTrimmer.cs"];
        var discarded = Sources.Value.Where(source => !known.Contains(Path.GetFileName(source.Path), StringComparer.Ordinal))
            .SelectMany(source => Discarded().Matches(source.Text).Select(match => $"{source.Path}: {match.Value.Trim()}")).ToArray();

        discarded.ShouldBeEmpty();
    }

    /// <summary>Rows of the table that follows the marker <c>&lt;!-- table: name --&gt;</c>.</summary>
    private static IEnumerable<string[]> Rows(string table)
    {
        var lines = File.ReadAllLines(Path.Combine(Repository.Root, "docs", "architecture.md"));
        var start = Array.IndexOf(lines, $"<!-- table: {table} -->");
        start.ShouldBeGreaterThanOrEqualTo(0, $"docs/architecture.md has no table '{table}'");
        return lines.Skip(start + 1).SkipWhile(line => !line.StartsWith('|')).TakeWhile(line => line.StartsWith('|')).Skip(2)
            .Select(line => line.Trim('|').Split('|').Select(cell => cell.Trim()).ToArray());
    }

    private static string Code(string cell) => cell.Split('`') is [_, var code, ..] ? code : cell;

    [GeneratedRegex(@"\([a-g]\)", RegexOptions.None, 1000)]
    private static partial Regex Letters();

    [GeneratedRegex(@"//[^\r\n]*", RegexOptions.None, 1000)]
    private static partial Regex Comments();

    [GeneratedRegex(@"\bADR (\d+)", RegexOptions.None, 1000)]
    private static partial Regex Decision();

    [GeneratedRegex(@"(?:\b|_)(?:[Ss]upervisor|[Ll]oops)\.Run(?:Once)?Async\(\s*""([a-z-]+)""", RegexOptions.None, 1000)]
    private static partial Regex LoopName();

    [GeneratedRegex(@"^\s*(?:_ = \w+(?:\.\w+)*Async\(|_ = Task\.Run\(|async void )", RegexOptions.Multiline, 1000)]
    private static partial Regex Discarded();
}
