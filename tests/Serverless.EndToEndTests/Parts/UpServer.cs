using System.Globalization;

namespace Serverless.EndToEndTests.Parts;

/// <summary><c>serverless up</c> as a process of its own, over manifests and data of the test.</summary>
internal sealed class UpServer : IAsyncDisposable
{
    /// <summary>As it was built beside these tests.</summary>
    public static string Program { get; } = Path.Combine(Checkout.Root, "artifacts/bin/Serverless.Cli", new DirectoryInfo(AppContext.BaseDirectory).Name, "Serverless.Cli.dll");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-up-");

    private UpServer()
    {
    }

    public Uri Address { get; private set; } = null!;

    public PartProcess Process { get; private set; } = null!;

    /// <summary>The manifests of a model without weights.</summary>
    public static string Simulated(string name, int tokensPerSecond) => string.Create(CultureInfo.InvariantCulture, $$$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: {{{name}}}}
        spec:
          familyName: simulated
          source: {uri: simulated://{{{name}}}}
          inferenceConfig: {flavors: [{name: cpu, params: {decodeTokensPerSecond: "{{{tokensPerSecond}}}", loadSeconds: "0"}}]}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: {{{name}}}}
        spec:
          modelClaim: {modelName: {{{name}}}}
          backendRuntimeConfig: {backendName: simulated}
        """);

    /// <summary>A running one.</summary>
    /// <param name="manifests">A file each.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <param name="environment">Its options.</param>
    public static async Task<UpServer> StartNewAsync(IReadOnlyList<string> manifests, CancellationToken cancellationToken, IReadOnlyDictionary<string, string>? environment = null)
    {
        var server = new UpServer();
        try
        {
            for (var file = 0; file < manifests.Count; file++) await File.WriteAllTextAsync(Path.Combine(server._folder.FullName, $"{file}.yaml"), manifests[file], cancellationToken);
            await server.StartAsync(["--manifests", server._folder.FullName], environment, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>One that serves that model, pulled first.</summary>
    /// <param name="model">Its source.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    public static async Task<UpServer> StartModelAsync(string model, CancellationToken cancellationToken)
    {
        var server = new UpServer();
        try
        {
            await server.StartAsync(["--model", model], new Dictionary<string, string> { ["Models__Directory"] = Path.Combine(server._folder.FullName, "models"), ["Models__MinFreeBytes"] = "0" }, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Process is not null) await Process.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private async Task StartAsync(string[] served, IReadOnlyDictionary<string, string>? environment, CancellationToken cancellationToken)
    {
        var port = PartProcess.FreePort();
        Address = new Uri($"http://127.0.0.1:{port}");
        Process = PartProcess.Start("serverless up", "dotnet", [Program, "up", "--port", $"{port}", .. served, "--data", Path.Combine(_folder.FullName, "data")], environment);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = TestTimeouts.Default };
        await Process.ReadyAsync(async token => (await http.GetAsync(new Uri(Address, "/readyz"), token)).IsSuccessStatusCode, cancellationToken);
    }
}
