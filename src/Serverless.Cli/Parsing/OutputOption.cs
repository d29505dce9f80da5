using System.CommandLine;

namespace Serverless.Cli.Parsing;

/// <summary><c>--output</c> of commands that print tables.</summary>
internal static class OutputOption
{
    private const string Text = "text";
    private const string Json = "json";

    public static Option<string> Create()
    {
        var option = new Option<string>("--output", "-o") { Description = $"How to print: {Text} for people, {Json} for programs.", HelpName = "FORMAT", DefaultValueFactory = _ => Text };
        option.AcceptOnlyFromAmong(Text, Json);
        return option;
    }

    public static bool IsJson(this ParseResult parsed, Option<string> option) => parsed.GetValue(option) == Json;
}
