using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Net.Http.Headers;
using Shouldly;

namespace Serverless.Tests.Documentation;

/// <summary>The headers of docs/api.md against those that the gateway's code names.</summary>
public sealed partial class HeadersPageTests
{
    private static readonly string[] Folders = ["src/Serverless.Gateway", "src/Serverless.Hosting/Dapr", "src/Serverless.Hosting/Configuration"];

    [Fact]
    public void Every_header_that_is_read_or_written_is_on_the_page_and_nothing_else()
    {
        var sources = Folders.SelectMany(folder => Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories)).Where(file => !file.Contains("/obj/", StringComparison.Ordinal)).Select(File.ReadAllText).ToArray();
        var named = sources.SelectMany(source => Shape().Matches(source).Concat(Use().Matches(source)).Concat(Constant().Matches(source)).Select(match => match.Groups[1].Value));
        var typed = sources.SelectMany(source => Property().Matches(source)).Select(match => typeof(HeaderNames).GetField(match.Groups[1].Value, BindingFlags.Public | BindingFlags.Static)?.GetValue(null)).OfType<string>();

        Page.Rows("api.md").Where(row => row.Length == 3 && row[1] is "request" or "answer").SelectMany(row => Page.Code(row[0])).Order(StringComparer.OrdinalIgnoreCase)
            .ShouldBe(named.Concat(typed).Concat(["Forwarded", "Via"]).Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.OrdinalIgnoreCase));
    }

    /// <summary>What looks like one.</summary>
    [GeneratedRegex(@"""(x-[\w-]+|[A-Z]\w*(?:-[A-Z]\w*)+-?)""", RegexOptions.None, 1000)]
    private static partial Regex Shape();

    [GeneratedRegex(@"(?:[Hh]eaders\[|GetCommaSeparatedValues\(|Headers\.TryGetValue\()""([\w-]+)""", RegexOptions.None, 1000)]
    private static partial Regex Use();

    [GeneratedRegex(@"const string \w+Header = ""([^""]+)""", RegexOptions.None, 1000)]
    private static partial Regex Constant();

    [GeneratedRegex(@"Headers\.([A-Z]\w+)", RegexOptions.None, 1000)]
    private static partial Regex Property();
}
