using System.Diagnostics;

namespace Serverless.EndToEndTests.Parts;

/// <summary>Scripts with OpenAI's library for Node.js, which <c>.ci/openai-node</c> (<c>make openai-node</c>) fetches.</summary>
internal static class OpenAiNode
{
    private static readonly string Modules = Path.Combine(Checkout.Root, "artifacts", "openai-node", "node_modules");

    /// <summary>Why tests that need it are skipped; null where it is there.</summary>
    public static string? Absent => PartProcess.Find("node") is null
        ? "No node: install nodejs."
        : !Directory.Exists(Path.Combine(Modules, "openai")) ? "No OpenAI library for Node.js in artifacts/openai-node: 'make openai-node' fetches it." : null;

    /// <summary>Runs a script of this project; what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message holds what it said.</exception>
    public static async Task<string> RunAsync(string script, Uri baseAddress, CancellationToken cancellationToken)
    {
        var path = Path.Combine(Checkout.Root, "tests", "Serverless.EndToEndTests", script);
        var start = new ProcessStartInfo("node", [path, baseAddress.ToString()]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["NODE_PATH"] = Modules;
        using var node = Process.Start(start) ?? throw new InvalidOperationException("node did not start.");
        using var patience = new CancellationTokenSource(TestTimeouts.Start, TimeProvider.System);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            var (output, errors) = (node.StandardOutput.ReadToEndAsync(limit.Token), node.StandardError.ReadToEndAsync(limit.Token));
            await Task.WhenAll(output, errors, node.WaitForExitAsync(limit.Token));
            return node.ExitCode == 0 ? await output : throw new InvalidOperationException($"{script} ended with {node.ExitCode}: {await output}{await errors}");
        }
        finally
        {
            if (!node.HasExited) node.Kill(entireProcessTree: true);
        }
    }
}
