using System.CommandLine;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Serverless.Cli.Commands;
using Serverless.Tests.Cli;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed partial class ConfigurationPageTests
{
    /// <summary>All of ours: an option class of an assembly that comes later is found too.</summary>
    private static readonly Type[] Options =
    [
        .. Directory.GetFiles(AppContext.BaseDirectory, "Serverless*.dll").Select(Path.GetFileNameWithoutExtension).Where(name => !name!.EndsWith("Tests", StringComparison.Ordinal))
            .SelectMany(name => Assembly.Load(name!).GetTypes()).Where(type => type.GetField("Section", BindingFlags.Public | BindingFlags.Static) is { IsLiteral: true }),
    ];

    private static readonly string[] Sources =
    [
        .. new[] { "src", "scalers" }.SelectMany(folder => Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal)).Select(File.ReadAllText),
    ];

    [Fact]
    public void Every_option_that_is_bound_is_on_the_page_with_its_default()
    {
        Options.Length.ShouldBeGreaterThan(15);

        Page.Rows("configuration.md").Where(row => row.Length == 3 && row[0].StartsWith('`')).Select(row => $"{row[0]} {row[1]}").Order(StringComparer.Ordinal)
            .ShouldBe(Options.SelectMany(Describe).Order(StringComparer.Ordinal));
    }

    /// <summary>What is bound is a class with a <c>Section</c>, so that the page is held against it.</summary>
    [Fact]
    public void Every_section_that_is_bound_is_one_of_these()
    {
        var bound = Sources.SelectMany(source => Bound().Matches(source).Select(match => match.Groups[1].Value)).Where(section => section is not "section" and not "nameof(LogOptions.LogLevel)").Distinct().ToArray();

        bound.Length.ShouldBeGreaterThan(15);
        bound.Except(Options.Select(type => $"{type.Name}.Section")).ShouldBeEmpty("bind a section by the constant 'Section' of its options, and describe them in docs/configuration.md");
        Options.Select(type => $"{type.Name}.Section").Except(bound).ShouldBeEmpty("nothing binds these");
    }

    /// <summary>Settings that are read by name and are in no section, ours or the framework's.</summary>
    [Fact]
    public void Every_setting_that_is_read_by_its_name_is_on_the_page()
    {
        var read = Sources.SelectMany(source => ByName().Matches(source).Select(match => match.Groups[1].Value)).ToHashSet(StringComparer.Ordinal);
        string[] byLibraries = ["Kestrel", "DAPR_GRPC_PORT", "DAPR_GRPC_ENDPOINT", "DAPR_API_TOKEN"]; // ASP.NET Core's and Dapr's, of which pages speak

        Page.Rows("configuration.md").Where(row => row.Length == 2 && row[0].StartsWith('`')).SelectMany(row => Page.Code(row[0])).ShouldBe(read.Concat(byLibraries), ignoreOrder: true);
    }

    [Fact]
    public void Every_option_of_every_command_is_on_the_page()
    {
        var root = Tool.Create(new TestTerminal(isTerminal: false, 80).Terminal);

        var command = "";
        var documented = new List<string>();
        foreach (var row in Page.Rows("configuration.md").Where(row => row.Length == 4 && row[1].StartsWith('`')))
        {
            if (row[0].Length > 0) command = row[0].Trim('`');
            documented.Add($"{command} {row[1].Trim('`')}");
        }

        documented.ShouldBe(root.Subcommands.SelectMany(each => OptionsOf("serverless", each)), ignoreOrder: true);
    }

    private static IEnumerable<string> OptionsOf(string path, Command command) =>
        command.Options.Select(option => $"{path} {command.Name} {option.Name}").Concat(command.Subcommands.SelectMany(sub => OptionsOf($"{path} {command.Name}", sub)));

    private static IEnumerable<string> Describe(Type options) => Describe((string)options.GetField("Section")!.GetRawConstantValue()!, options);

    private static IEnumerable<string> Describe(string section, Type options)
    {
        var defaults = Activator.CreateInstance(options);
        return options.GetProperties().SelectMany(property => property.PropertyType.Assembly == options.Assembly && property.PropertyType.IsClass
            ? Describe($"{section}:{property.Name}", property.PropertyType)
            : [string.Create(CultureInfo.InvariantCulture, $"`{section}:{property.Name}` `{property.GetValue(defaults)}`")]);
    }

    [GeneratedRegex(@"(?:BindConfiguration|GetSection|AddCheckedOptions<[^>]+>|AddValidated<[^>]+>|\.Bind)\((nameof\([\w.]+\)|[\w.]+)\)", RegexOptions.None, 1000)]
    private static partial Regex Bound();

    [GeneratedRegex(@"[Cc]onfiguration(?:>\(\))?\[""(\w+)""\]", RegexOptions.None, 1000)]
    private static partial Regex ByName();
}
