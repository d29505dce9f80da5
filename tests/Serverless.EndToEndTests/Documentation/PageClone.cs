using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;
using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Documentation;

/// <summary>
/// For all pages: a folder like a clone, in which their lines are typed. The tool is the one built beside these tests; its models are the shipped one (answers are kept short) and one whose requests
/// become dead letters.
/// </summary>
public sealed class PageClone : IAsyncDisposable
{
    private static readonly string Tool = Path.Combine(Checkout.Root, "artifacts/bin/Serverless.Cli", Configuration, "Serverless.Cli.dll");

    private WebApplication? _web;

    public PageClone()
    {
        Directory.CreateDirectory(Path.Combine(Folder, ".local", "bin"));
        Directory.CreateDirectory(Path.Combine(Folder, "installed"));
        Directory.CreateSymbolicLink(Path.Combine(Folder, "artifacts"), Path.Combine(Checkout.Root, "artifacts"));
        Directory.CreateSymbolicLink(Path.Combine(Folder, "examples"), Path.Combine(Checkout.Root, "examples"));
        WriteScript(Path.Combine(Folder, "serverless"), $"exec dotnet '{Tool}' \"$@\"");
        WriteScript(Path.Combine(Folder, "installed", "serverless"), $"exec dotnet '{Tool}' \"$@\"");
        WriteModels();
        File.WriteAllText(Path.Combine(Folder, "trace.jsonl"), """{"timestamp": 0, "input_length": 200, "output_length": 20, "hash_ids": []}""" + "\n" + """{"timestamp": 4000, "input_length": 100, "output_length": 10, "hash_ids": []}""" + "\n");
    }

    /// <summary>What these tests were built as: <c>release</c> in the pages.</summary>
    internal static string Configuration => new DirectoryInfo(AppContext.BaseDirectory).Name;

    internal string Folder { get; } = Checkout.CopyComponents("127.0.0.1:6379", "amqp://guest:guest@127.0.0.1:5672");

    /// <summary>What <c>./serverless up</c> started; null: no page had it yet.</summary>
    internal PartProcess? Up { get; private set; }

    internal Uri? Address { get; private set; }

    internal Dictionary<string, string> Environment() => new(StringComparer.Ordinal)
    {
        ["HOME"] = Folder,
        ["PATH"] = $"{Folder}/installed:{System.Environment.GetEnvironmentVariable("PATH")}",
        ["NO_COLOR"] = "1",
        ["no_proxy"] = "127.0.0.1",
    };

    internal void Serves(PartProcess up, Uri address) => (Up, Address) = (up, address);

    /// <summary>The address of a file that may be pulled.</summary>
    internal async Task<string> SourceAsync()
    {
        if (_web is null)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            _web = builder.Build();
            _web.MapGet("/tiny.gguf", () => Results.Bytes("GGUF"u8.ToArray(), entityTag: new EntityTagHeaderValue("\"1\""), enableRangeProcessing: true));
            await _web.StartAsync(TestContext.Current.CancellationToken);
        }

        return _web.Urls.Single() + "/tiny.gguf";
    }

    public async ValueTask DisposeAsync()
    {
        if (_web is not null) await _web.DisposeAsync();
        if (Up is not null) await Up.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    private void WriteModels()
    {
        var shipped = Path.Combine(Checkout.Root, "models", PageRewriting.Model);
        var models = Path.Combine(Folder, "models");
        Directory.CreateDirectory(Path.Combine(models, PageRewriting.Model)); // the examples name the file there
        foreach (var file in Directory.GetFiles(shipped, "*.gguf")) File.CreateSymbolicLink(Path.Combine(models, PageRewriting.Model, Path.GetFileName(file)), file);
        File.Copy(Path.Combine(shipped, "playground.yaml"), Path.Combine(models, "playground.yaml"));
        File.WriteAllText(Path.Combine(models, "openmodel.yaml"), File.ReadAllText(Path.Combine(shipped, "openmodel.yaml"))
            .Replace("host://./", $"host://{shipped}/", StringComparison.Ordinal).Replace("spec:\n", "spec:\n  contextTokens: 96\n", StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(models, "to-crash.yaml"), """
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: to-crash}
            spec:
              familyName: simulated
              source: {uri: simulated://to-crash}
              inferenceConfig: {flavors: [{name: cpu, params: {crashEvery: "1"}}]}
            ---
            apiVersion: inference.llmaz.io/v1alpha1
            kind: Playground
            metadata: {name: to-crash}
            spec:
              modelClaim: {modelName: to-crash}
              elasticConfig: {minReplicas: 0, maxReplicas: 1}
              backendRuntimeConfig: {backendName: simulated}
            """);
    }

    private static void WriteScript(string path, string command)
    {
        File.WriteAllText(path, $"#!/usr/bin/env bash\n{command}\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
