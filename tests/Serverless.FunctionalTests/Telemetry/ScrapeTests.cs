using System.Diagnostics;
using System.Text.RegularExpressions;
using Shouldly;

namespace Serverless.FunctionalTests.Telemetry;

/// <summary>docs/metrics.md against what each process has from its start, and really prints. Alone: a meter is read by its name, whichever host of the test process it is of.</summary>
[Collection(nameof(ScrapeTests))]
[CollectionDefinition(nameof(ScrapeTests), DisableParallelization = true)]
public sealed partial class ScrapeTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("gateway")]
    [InlineData("worker")]
    [InlineData("scaler")]
    public async Task Each_process_prints_from_its_start_what_the_page_says_under_the_names_of_the_page(string process)
    {
        await using var scraped = await ScrapedProcess.StartAsync(process);
        scraped.Instruments().Select(instrument => instrument.Name).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ShouldBe(Rows(process).Select(row => row.Name).Order(StringComparer.Ordinal));

        scraped.RecordAll();
        var text = await scraped.ScrapeAsync();

        var printed = TypeLine().Matches(text).ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value, StringComparer.Ordinal);
        foreach (var (name, prometheus, kind) in Rows(process).Where(row => !OnlyWhereKnown.Contains(row.Name, StringComparer.Ordinal)))
        {
            printed.ShouldContainKey(prometheus, name);
            printed[prometheus].ShouldBe(kind is "up-down counter" ? "gauge" : kind, name);
        }

        printed.Keys.Where(name => name.StartsWith("serverless_", StringComparison.Ordinal) || name.StartsWith("gen_ai_", StringComparison.Ordinal)).Except(Rows(process).Select(row => row.Prometheus)).ShouldBeEmpty();
        text.ShouldContain($"service_name=\"serverless-{process}\"");
        text.ShouldContain("service_version=\"0.");
    }

    [Theory]
    [InlineData("gateway")]
    [InlineData("worker")]
    [InlineData("scaler")]
    public async Task Promtool_has_nothing_against_them(string process)
    {
        if (Find("promtool") is not { } promtool)
        {
            Assert.Skip("promtool is not installed: apt-get install prometheus");
            return;
        }

        await using var scraped = await ScrapedProcess.StartAsync(process);
        scraped.RecordAll();
        var text = Ours(await scraped.ScrapeAsync());

        var (exit, output) = await RunAsync(promtool, ["check", "metrics"], text);

        exit.ShouldBe(0, output);
    }

    [Fact]
    public async Task Promtool_parses_each_query_of_the_page_and_each_names_series_that_are_printed()
    {
        var queries = Page().Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Select(line => line.Split('|', 3)).Where(cells => QueryCell().IsMatch(cells[2])).Select(cells => QueryCell().Match(cells[2]).Groups[1].Value).ToList();
        queries.Count.ShouldBe(10);
        var names = Rows(null).Select(row => row.Prometheus).ToList();
        foreach (var series in queries.SelectMany(query => SeriesName().Matches(query).Select(match => match.Value))) names.ShouldContain(Suffix().Replace(series, ""), series);

        if (Find("promtool") is not { } promtool) return;

        var folder = Directory.CreateTempSubdirectory("serverless-test");
        try
        {
            var file = Path.Combine(folder.FullName, "rules.yaml");
            await File.WriteAllTextAsync(file, "groups:\n- name: page\n  rules:\n" + string.Concat(queries.Select((query, index) => $"  - record: query_{index}\n    expr: >-\n      {query}\n")), Token);
            var (exit, output) = await RunAsync(promtool, ["check", "rules", file], "");
            exit.ShouldBe(0, output);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Told only where somebody knows it: nobody does here, or, of dead letters, five seconds later.</summary>
    private static readonly string[] OnlyWhereKnown = ["serverless.scaler.stock", "serverless.scaler.demand.age", "serverless.scaler.plan.age", "serverless.dead_letters"];

    /// <summary>Those of the runtime and of Kestrel are named by .NET.</summary>
    private static string Ours(string text) => string.Concat(text.Split('\n').Where(line => OurLine().IsMatch(line)).Select(line => line + "\n"));

    private static string Page() => File.ReadAllText(Path.Combine(Root(), "docs", "metrics.md"));

    private static IEnumerable<(string Name, string Prometheus, string Kind)> Rows(string? process) =>
        Page().Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal)).Select(line => line.Split('|')[1..^1].Select(cell => cell.Trim()).ToArray()).Where(row => row.Length == 7)
            .Where(row => process is null || row[4] == "all" || row[4].Split(", ").Contains(process, StringComparer.Ordinal))
            .Select(row => (row[0].Trim('`'), row[1].Trim('`'), row[2]));

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Serverless.sln"))) folder = folder.Parent;
        return folder.ShouldNotBeNull("the tests run in the clone").FullName;
    }

    private static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static async Task<(int Exit, string Output)> RunAsync(string program, string[] arguments, string input)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true }).ShouldNotBeNull();
        var reading = Task.WhenAll(process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
        await process.StandardInput.WriteAsync(input.AsMemory(), Token);
        process.StandardInput.Close();
        await process.WaitForExitAsync(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        return (process.ExitCode, string.Concat(await reading));
    }

    [GeneratedRegex(@"^# TYPE (\S+) (\w+)", RegexOptions.Multiline, 1000)]
    private static partial Regex TypeLine();

    [GeneratedRegex(@"^(# \w+ )?(serverless|gen_ai)_", RegexOptions.None, 1000)]
    private static partial Regex OurLine();

    [GeneratedRegex(@"^ `([^`]*\b(?:serverless|gen_ai)_[^`]*)` \|$", RegexOptions.None, 1000)]
    private static partial Regex QueryCell();

    [GeneratedRegex(@"\b(?:serverless|gen_ai_server)_\w+", RegexOptions.None, 1000)]
    private static partial Regex SeriesName();

    [GeneratedRegex(@"_(?:bucket|count|sum)$", RegexOptions.None, 1000)]
    private static partial Regex Suffix();
}
