using System.Text.RegularExpressions;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed partial class ManifestsPageTests
{
    [Fact]
    public void Every_field_that_a_reader_asks_for_is_on_the_page()
    {
        var sources = Directory.GetFiles(Path.Combine(Repository.Root, "src", "Serverless", "Catalog", "Manifests"), "*.cs").Select(File.ReadAllText).ToList();
        var read = sources.SelectMany(source => AskPattern().Matches(source).Select(match => match.Groups[1].Value))
            .Concat(sources.SelectMany(source => ListPattern().Matches(source).SelectMany(list => NamePattern().Matches(list.Groups[1].Value).Select(name => name.Groups[1].Value))))
            .Concat(TestEngines.Table.Names.SelectMany(engine => TestEngines.Table.Of(engine).AllParams.Select(param => param.Name)))
            .ToHashSet(StringComparer.Ordinal);
        read.Count.ShouldBeGreaterThan(40);

        var documented = Page.Code(Page.Read("manifests.md")).SelectMany(code => code.Split('.', '[')).ToHashSet(StringComparer.Ordinal);

        read.Except(documented).ShouldBeEmpty();
    }

    /// <summary>One table of each engine's params: the page shows what manifests are checked by and engines read by.</summary>
    [Fact]
    public void The_params_on_the_page_are_the_engines_own()
    {
        Page.Read("manifests.md").ShouldContain("| engine | param | value | default | effect |\n|---|---|---|---|---|\n" + string.Join('\n', TestEngines.Table.Rows) + "\n");
    }

    [Fact]
    public void Every_field_on_the_page_is_read()
    {
        var sources = string.Concat(Directory.GetFiles(Path.Combine(Repository.Root, "src", "Serverless", "Catalog", "Manifests"), "*.cs").Select(File.ReadAllText));

        var fields = Page.Rows("manifests.md").SelectMany(row => Page.Code(row[0])).Where(code => FieldPattern().IsMatch(code) && TestEngines.Table.Find(code) is null);

        foreach (var segment in fields.SelectMany(field => field.Replace("[]", "", StringComparison.Ordinal).Split('.'))) sources.ShouldContain($"\"{segment}\"");
    }

    [GeneratedRegex(@"\.(?:Text|RequiredText|Integer|Timestamp|Object|Objects|Texts|Map|Has|WithoutEffect|Refuse)\(""(\w+)""", RegexOptions.None, 1000)]
    private static partial Regex AskPattern();

    /// <summary>The lists of field names that are asked for in a loop.</summary>
    [GeneratedRegex(@"(?:OfContainers|FromServer) =\s*\[([^\]]+)\];", RegexOptions.None, 1000)]
    private static partial Regex ListPattern();

    [GeneratedRegex(@"""([\w-]+)""", RegexOptions.None, 1000)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^[a-z][\w.\[\]]*$", RegexOptions.None, 1000)]
    private static partial Regex FieldPattern();
}
