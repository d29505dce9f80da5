using System.CommandLine;

namespace Serverless.Cli.Commands;

/// <summary>The <c>--url</c> that commands which talk to a running gateway share.</summary>
internal static class ServerOption
{
    public static Option<Uri> Create() => new("--url")
    {
        Description = "The gateway to talk to.",
        DefaultValueFactory = _ => new Uri("http://127.0.0.1:8080"),
    };
}
