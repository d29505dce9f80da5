using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;

namespace Serverless.FunctionalTests.Embedded;

/// <summary>Manifests that change under a running platform, as its clients see it.</summary>
public sealed class LiveManifestsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Models_appear_roll_and_survive_a_faulty_change()
    {
        using var log = new ErrorLines();
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System, Served("first", "outputTokens: 3"), log: log);
        using var loads = new MetricCollector<double>(platform.Host.Services.GetRequiredService<IMeterFactory>(), "Serverless.Worker", "serverless.model_load.duration", TimeProvider.System);
        (await AskAsync(platform, "first")).ShouldBe((HttpStatusCode.OK, " one two three", null));

        platform.Write("second.yaml", Served("second", "outputTokens: 2"));
        await platform.CatalogAsync(catalog => catalog.Models.Count == 2);
        (await AskAsync(platform, "second")).ShouldBe((HttpStatusCode.OK, " one two", null));
        (await ModelsAsync(platform)).ShouldBe(["first", "second"]);

        platform.Write("model.yaml", Served("first", "outputTokens: many"));
        var line = await log.NextAsync();
        line.ShouldContain("model.yaml:");
        line.ShouldContain("'outputTokens' the value 'many'");
        (await AskAsync(platform, "first")).Text.ShouldBe(" one two three");

        platform.Write("model.yaml", Served("first", "outputTokens: 4"));
        await loads.WaitForMeasurementsAsync(3, Token).WithinLimitAsync();
        await platform.PoolAsync("first-cpu", pool => pool is { Ready: 1, Draining: 0, LoadingSince.Count: 0 });
        (await AskAsync(platform, "first")).Text.ShouldBe(" one two three four");
    }

    [Fact]
    public async Task Of_a_model_that_is_removed_what_runs_ends_and_what_waits_is_told()
    {
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System, Served("stays", "outputTokens: 1"));
        platform.Write("goes.yaml", Served("goes", "slots: 1, outputTokens: 200, decodeTokensPerSecond: 20"));
        await platform.CatalogAsync(catalog => catalog.Models.Count == 2);
        var running = AskAsync(platform, "goes");
        await platform.PoolAsync("goes-cpu", pool => pool.Ready == 1);
        var waiting = AskAsync(platform, "goes");

        platform.Write("goes.yaml", null);
        var told = await waiting;

        running.IsCompleted.ShouldBeFalse();
        (told.Status, told.Code).ShouldBe((HttpStatusCode.NotFound, "model_not_found"));
        (await running).Text.ShouldEndWith(" 200");
        await platform.PoolAsync("goes-cpu", pool => pool is { Desired: 0, Ready: 0, Draining: 0 });
        (await ModelsAsync(platform)).ShouldBe(["stays"]);
        (await AskAsync(platform, "goes")).Code.ShouldBe("model_not_found");
        (await AskAsync(platform, "stays")).Text.ShouldBe(" one");
    }

    private static string Served(string model, string parameters) => $$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: {{model}}}
        spec:
          familyName: simulated
          source: {uri: "simulated://{{model}}"}
          inferenceConfig:
            flavors:
              - name: cpu
                params: {{{parameters}}}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: {{model}}}
        spec:
          modelClaim: {modelName: {{model}}}
          elasticConfig: {minReplicas: 0, maxReplicas: 1}
        """;

    private static async Task<(HttpStatusCode Status, string? Text, string? Code)> AskAsync(EmbeddedUnderTest platform, string model)
    {
        using var response = await platform.Client.PostAsJsonAsync("/v1/completions", new { model, prompt = "Count.", max_tokens = 200 }, Token);
        using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Token));
        return response.IsSuccessStatusCode
            ? (response.StatusCode, answer.RootElement.GetProperty("choices")[0].GetProperty("text").GetString(), null)
            : (response.StatusCode, null, answer.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    private static async Task<string?[]> ModelsAsync(EmbeddedUnderTest platform)
    {
        using var models = JsonDocument.Parse(await platform.Client.GetStringAsync(new Uri("/v1/models", UriKind.Relative), Token));
        return [.. models.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString())];
    }

    /// <summary>What is logged as an error of the manifests: on a machine that is busy a probe may say meanwhile that the platform starts.</summary>
    private sealed class ErrorLines : ILoggerProvider, ILogger
    {
        private readonly Channel<string> _lines = Channel.CreateBounded<string>(100);

        public Task<string> NextAsync() => _lines.Reader.ReadAsync(Token).AsTask().WithinLimitAsync();

        public ILogger CreateLogger(string categoryName) => categoryName.Contains(".Manifests.", StringComparison.Ordinal) ? this : NullLogger.Instance;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) _lines.Writer.TryWrite(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
