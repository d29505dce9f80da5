using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog.Engines;
using Serverless.Hosting.Manifests;
using Serverless.Scaling.Capacity;
using Serverless.Tests.Contracts.Echo;
using Shouldly;

namespace Serverless.FunctionalTests.Embedded;

/// <summary>An engine is a folder (<c>tests/Contracts/Echo</c>) and one line: nothing else of the product knows its name, and it is served, checked and described as any other.</summary>
public sealed class EchoEngineTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_is_served_end_to_end_through_a_manifest()
    {
        await using var platform = await StartAsync("times: 2, voice: loud");
        platform.Pool.Model.Backend.ShouldBe("echo");
        platform.Pool.Model.Scaling.MaxReplicas.ShouldBe(1, "one replica of what runs in this process, unless more are asked for");
        platform.Pool.Flavor.FirstLoad.ShouldBe(TimeSpan.FromSeconds(2));

        (await AskAsync(platform, new { model = "cave", messages = new[] { new { role = "user", content = "who is there?" } } })).ShouldBe((200, "WHO IS THERE? WHO IS THERE?", "stop"));
        (await AskAsync(platform, new { model = "cave", max_tokens = 4, messages = new[] { new { role = "user", content = "who is there?" } } })).ShouldBe((200, "WHO IS THERE? WHO", "length"));
        (await AskAsync(platform, new { model = "cave", stop = "IS", messages = new[] { new { role = "user", content = "who is there?" } } })).ShouldBe((200, "WHO ", "stop"));
        platform.Host.Services.GetRequiredService<ICapacityFeed>().Latest(platform.Pool.Name).Ready.ShouldBe(1);

        // It honours no logit bias, so that is refused; and its replica holds 4,096 tokens.
        (await AskAsync(platform, new { model = "cave", logit_bias = new Dictionary<string, int> { ["1"] = 1 }, messages = new[] { new { role = "user", content = "who?" } } })).Status.ShouldBe(400);
        (await AskAsync(platform, new { model = "cave", messages = new[] { new { role = "user", content = string.Concat(Enumerable.Repeat("who? ", 5000)) } } })).Text.ShouldContain("holds 4096 in its KV cache");
    }

    [Theory]
    [InlineData("times: 1001", "gives 'times' the value '1001'; it must be a whole number from 1 to 1000")]
    [InlineData("voice: shrill", "gives 'voice' the value 'shrill'; it must be loud or plain")]
    [InlineData("threads: 2", "holds 'threads', which 'echo' does not take; it takes slots, times, voice, kvTokens, pricePerHour")]
    public async Task Its_params_are_checked_where_manifests_are_read(string parameters, string fault) =>
        (await Should.ThrowAsync<CatalogException>(() => StartAsync(parameters))).Message.ShouldContain(fault);

    [Fact]
    public async Task It_is_described_where_every_engine_is()
    {
        await using var platform = await StartAsync("times: 2");
        var engines = platform.Host.Services.GetRequiredService<EngineTable>();

        engines.Here.Select(engine => engine.Name).ShouldBe(["in-process", "simulated", "llamacpp", "vllm", "sglang", "tgi", "tensorrt-llm", "ollama", "openai", "echo"]);
        engines.Rows.ShouldContain("| `echo` | `voice` | `loud`, `plain` | plain | how it is said |");
        engines.Rows.ShouldContain("| `echo` | `times` | whole number, 1 to 1,000 | 1 | how often the prompt is said |");
    }

    private static Task<EmbeddedUnderTest> StartAsync(string parameters) => EmbeddedUnderTest.StartAsync(
        TimeProvider.System,
        $$$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: cave}
        spec:
          familyName: echo
          source: {uri: "echo://cave"}
          inferenceConfig: {flavors: [{name: cave, params: {{{{parameters}}}}}]}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: cave}
        spec:
          modelClaim: {modelName: cave}
          elasticConfig: {minReplicas: 0}
        """,
        services: services => services.AddEngine<EchoEngineFactory>());

    private static async Task<(int Status, string Text, string? Finish)> AskAsync(EmbeddedUnderTest platform, object body)
    {
        using var response = await platform.Client.PostAsJsonAsync("/v1/chat/completions", body, Token);
        var text = await response.Content.ReadAsStringAsync(Token);
        if (!response.IsSuccessStatusCode) return ((int)response.StatusCode, text, null);

        using var answer = JsonDocument.Parse(text);
        var choice = answer.RootElement.GetProperty("choices")[0];
        return ((int)response.StatusCode, choice.GetProperty("message").GetProperty("content").GetString()!, choice.GetProperty("finish_reason").GetString());
    }
}
