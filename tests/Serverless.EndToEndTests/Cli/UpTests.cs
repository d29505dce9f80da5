using System.Net.Http.Json;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Cli;

/// <summary><c>serverless up</c> as a process of its own.</summary>
public sealed class UpTests : IAsyncDisposable
{
    private const int Tokens = 20;

    /// <summary>As it was built beside these tests.</summary>
    private static readonly string Program = Path.Combine(Checkout.Root, "artifacts/bin/Serverless.Cli", new DirectoryInfo(AppContext.BaseDirectory).Name, "Serverless.Cli.dll");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-up-");
    private readonly HttpClient _http = new() { Timeout = TestTimeouts.Default };
    private PartProcess? _up;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_up is not null) await _up.DisposeAsync();
        _http.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_stream_that_runs_is_let_end_when_it_is_told_to_stop(string signal)
    {
        var server = await StartAsync();
        using var response = await StreamAsync(server);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        (await reader.ReadLineAsync(Token)).ShouldNotBeNull();

        await _up!.SignalAsync(signal);
        var rest = await reader.ReadToEndAsync(Token);
        await _up.ExitedAsync(Token).WithinLimitAsync();

        rest.ShouldContain("data: [DONE]", customMessage: _up.Output);
        _up.Output.ShouldContain("Stopping");
    }

    [Fact]
    public async Task A_second_signal_cuts()
    {
        var server = await StartAsync();
        using var response = await StreamAsync(server);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        (await reader.ReadLineAsync(Token)).ShouldNotBeNull();

        await _up!.SignalAsync("INT");
        await _up.ReadyAsync(_ => Task.FromResult(_up.Output.Contains("Stopping", StringComparison.Ordinal)), Token);
        await _up.SignalAsync("INT");
        await _up.ExitedAsync(Token).WithinLimitAsync();

        await Should.ThrowAsync<Exception>(async () => (await reader.ReadToEndAsync(Token)).ShouldContain("data: [DONE]"));
    }

    private async Task<Uri> StartAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "slow.yaml"), """
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: slow}
            spec:
              familyName: simulated
              source: {uri: simulated://slow}
              inferenceConfig: {flavors: [{name: cpu, params: {decodeTokensPerSecond: "10", loadSeconds: "0"}}]}
            ---
            apiVersion: inference.llmaz.io/v1alpha1
            kind: Playground
            metadata: {name: slow}
            spec:
              modelClaim: {modelName: slow}
              backendRuntimeConfig: {backendName: simulated}
            """, Token);
        var port = PartProcess.FreePort();
        _up = PartProcess.Start("serverless up", "dotnet", [Program, "up", "--port", $"{port}", "--manifests", _folder.FullName, "--data", Path.Combine(_folder.FullName, "data")]);
        var server = new Uri($"http://127.0.0.1:{port}");
        await _up.ReadyAsync(async token => (await _http.GetAsync(new Uri(server, "/readyz"), token)).IsSuccessStatusCode, Token);
        return server;
    }

    private async Task<HttpResponseMessage> StreamAsync(Uri server)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server, "/v1/completions"))
        {
            Content = JsonContent.Create(new { model = "slow", prompt = "x", max_tokens = Tokens, ignore_eos = true, stream = true }),
        };
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
        response.IsSuccessStatusCode.ShouldBeTrue();
        return response;
    }
}
