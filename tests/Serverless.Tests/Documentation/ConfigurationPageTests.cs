using System.CommandLine;
using System.Globalization;
using System.Reflection;
using Serverless.Cli.Commands;
using Serverless.Gateway;
using Serverless.Requests;
using Serverless.Tests.Cli;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed class ConfigurationPageTests
{
    [Fact]
    public void Every_option_that_is_bound_is_on_the_page_with_its_default()
    {
        var options = new[] { typeof(GatewayHost), typeof(Serverless.Worker.WorkerHost), typeof(Serverless.Scaler.Embedded.LocalScalerOptions), typeof(Hosting.Tokens.GgufTokenCounter), typeof(UpCommand), typeof(QueueLimits) }
            .SelectMany(type => type.Assembly.GetTypes())
            .Where(type => type.GetField("Section", BindingFlags.Public | BindingFlags.Static) is { IsLiteral: true })
            .SelectMany(Describe);

        Page.Rows("configuration.md").Where(row => row.Length == 3 && row[0].StartsWith('`')).Select(row => $"{row[0]} {row[1]}").Order(StringComparer.Ordinal)
            .ShouldBe(options.Order(StringComparer.Ordinal));
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

    private static IEnumerable<string> Describe(Type options)
    {
        var section = (string)options.GetField("Section")!.GetRawConstantValue()!;
        var defaults = Activator.CreateInstance(options);
        return options.GetProperties().Select(property => string.Create(CultureInfo.InvariantCulture, $"`{section}:{property.Name}` `{property.GetValue(defaults)}`"));
    }
}
