using System.Text.RegularExpressions;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed partial class LinkTests
{
    private static readonly string[] NotOurs = ["artifacts", "bin", "obj", ".git"];

    [Fact]
    public void Every_relative_link_of_every_page_leads_somewhere()
    {
        var broken = new List<string>();
        foreach (var page in Pages())
        {
            foreach (var link in LinkPattern().Matches(File.ReadAllText(page)).Select(match => match.Groups[1].Value))
            {
                if (link.Contains("://", StringComparison.Ordinal) || link.StartsWith("mailto:", StringComparison.Ordinal)) continue;

                var (path, anchor) = link.Split('#') is [var before, var after] ? (before, after) : (link, null);
                var target = path.Length == 0 ? page : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(page)!, path));
                if (!File.Exists(target) && !Directory.Exists(target)) broken.Add($"{page}: {link}");
                else if (anchor is not null && !Anchors(target).Contains(anchor, StringComparer.Ordinal)) broken.Add($"{page}: {link} (no such heading)");
            }
        }

        broken.ShouldBeEmpty();
    }

    private static IEnumerable<string> Pages() => Directory.GetFiles(Repository.Root, "*.md", SearchOption.AllDirectories)
        .Where(page => !Path.GetRelativePath(Repository.Root, page).Split('/').Intersect(NotOurs).Any());

    private static IEnumerable<string> Anchors(string page) => HeadingPattern().Matches(File.ReadAllText(page))
        .Select(match => NotInAnchors().Replace(match.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    [GeneratedRegex(@"\]\(([^)\s]+)\)", RegexOptions.None, 1000)]
    private static partial Regex LinkPattern();

    [GeneratedRegex("^#+ (.+)$", RegexOptions.Multiline, 1000)]
    private static partial Regex HeadingPattern();

    [GeneratedRegex(@"[^\w\- ]", RegexOptions.None, 1000)]
    private static partial Regex NotInAnchors();
}
