using System.CommandLine;
using System.CommandLine.Parsing;

namespace Serverless.Cli.Commands;

/// <summary>The <c>--url</c> that commands which talk to a running gateway share.</summary>
internal static class ServerOption
{
    public static Option<Uri> Create() => new("--url")
    {
        Description = "The gateway to talk to.",
        DefaultValueFactory = _ => new Uri("http://127.0.0.1:8080"),
        CustomParser = Parse,
    };

    private static Uri? Parse(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (Uri.TryCreate(text, UriKind.Absolute, out var server) && server is { Scheme: "http" or "https" }) return server;

        result.AddError($"'{text}' is no address of a gateway; write http://host:port.");
        return null;
    }
}
