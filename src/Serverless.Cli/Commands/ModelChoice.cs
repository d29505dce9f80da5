using Serverless.Cli.Client;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary>Which model is asked: the one that was named, if there is such a one, or the first.</summary>
internal static class ModelChoice
{
    /// <exception cref="ToolException">None is served, or none of that name.</exception>
    public static async Task<string> OfAsync(ServingClient client, string? named, CancellationToken cancellationToken)
    {
        var served = await client.ModelsAsync(cancellationToken);
        if (served.Count == 0) throw new ToolException($"{client.Server} serves no model; give it manifests with 'serverless up --manifests DIR'.");
        if (named is null || served.Contains(named, StringComparer.Ordinal)) return named ?? served[0];

        throw new ToolException($"--model is '{named}', which {client.Server} does not serve. {NearName.Hint(named, served)}");
    }
}
