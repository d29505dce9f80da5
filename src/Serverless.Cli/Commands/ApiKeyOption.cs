using System.CommandLine;

namespace Serverless.Cli.Commands;

/// <summary>The key for a gateway that asks for one. From the environment, it stays out of process lists and histories.</summary>
internal static class ApiKeyOption
{
    public const string Variable = "SERVERLESS_API_KEY";

    public static Option<string?> Create() => new("--api-key")
    {
        Description = $"API key, if the gateway asks for one; {Variable} if not given.",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(Variable),
    };
}
