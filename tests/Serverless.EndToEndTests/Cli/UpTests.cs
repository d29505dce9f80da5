using System.Net.Http.Json;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Cli;

/// <summary><c>serverless up</c> as a process of its own.</summary>
public sealed class UpTests : IAsyncDisposable
{
    private const int Tokens = 20;

    private readonly HttpClient _http = new() { Timeout = TestTimeouts.Default };
    private UpServer? _server;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _http.Dispose();
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_stream_that_runs_is_let_end_when_it_is_told_to_stop(string signal)
    {
        var (server, up) = await StartAsync();
        using var response = await StreamAsync(server);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        (await reader.ReadLineAsync(Token)).ShouldNotBeNull();

        await up.SignalAsync(signal);
        var rest = await reader.ReadToEndAsync(Token);
        await up.ExitedAsync(Token).WithinLimitAsync();

        rest.ShouldContain("data: [DONE]", customMessage: up.Output);
        up.Output.ShouldContain("Stopping");
    }

    [Fact]
    public async Task A_second_signal_cuts()
    {
        var (server, up) = await StartAsync();
        using var response = await StreamAsync(server);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        (await reader.ReadLineAsync(Token)).ShouldNotBeNull();

        await up.SignalAsync("INT");
        await up.ReadyAsync(_ => Task.FromResult(up.Output.Contains("Stopping", StringComparison.Ordinal)), Token);
        await up.SignalAsync("INT");
        await up.ExitedAsync(Token).WithinLimitAsync();

        await Should.ThrowAsync<Exception>(async () => (await reader.ReadToEndAsync(Token)).ShouldContain("data: [DONE]"));
    }

    private async Task<(Uri Address, PartProcess Process)> StartAsync()
    {
        _server = await UpServer.StartNewAsync([UpServer.Simulated("slow", tokensPerSecond: 10)], Token);
        return (_server.Address, _server.Process);
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
