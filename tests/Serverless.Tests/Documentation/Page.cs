using System.Text.RegularExpressions;

namespace Serverless.Tests.Documentation;

/// <summary>A page of docs/, as tests read it.</summary>
internal static partial class Page
{
    public static string Read(string name) => File.ReadAllText(Path.Combine(Repository.Root, "docs", name));

    /// <summary>The cells of every table row.</summary>
    public static IEnumerable<string[]> Rows(string name) =>
        Read(name).Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Select(line => line.Split('|')[1..^1].Select(cell => cell.Trim()).ToArray());

    /// <summary>Everything between backticks.</summary>
    public static IEnumerable<string> Code(string text) => CodePattern().Matches(text).Select(match => match.Groups[1].Value);

    [GeneratedRegex("`([^`]+)`", RegexOptions.None, 1000)]
    private static partial Regex CodePattern();
}
