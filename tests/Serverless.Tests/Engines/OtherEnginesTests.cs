using System.Text.Json.Nodes;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.Generic;
using Serverless.Hosting.Engines.OpenAi.Ollama;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.TensorRt;
using Serverless.Hosting.Engines.OpenAi.Tgi;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>Engines of which nothing is recorded, as their documentation and sources have them, over real HTTP.</summary>
public sealed class OtherEnginesTests
{
    private const string Models = """{"object":"list","data":[{"id":"org/tiny","object":"model"}]}""";
    private const string End = """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("server_info")]
    [InlineData("get_server_info")]
    public async Task Sglang_without_metrics_says_otherwise_how_much_it_holds(string path)
    {
        await using var stub = await StartAsync(("/health", ""), ("/v1/models", """{"data":[{"id":"tiny","max_model_len":500}]}"""), ($"/{path}", """{"max_total_num_tokens":7777,"tp_size":1}"""));
        await using var engine = await stub.LoadAsync<SgLangDialect>();

        (engine.Slots, engine.KvCapacityTokens).ShouldBe((256, 7777));
        engine.Lost.IsCompleted.ShouldBeFalse();
    }

    /// <summary>It counts along, text that it holds back and all.</summary>
    [Fact]
    public async Task Sglang_says_how_many_tokens_it_has_generated()
    {
        await using var stub = await StartAsync(("/health", ""), ("/v1/models", Models), ("/metrics", Recording.Metrics("sglang.prom")));
        await using var engine = await stub.LoadAsync<SgLangDialect>();
        stub.Answer = StubEngine.Events(Counted("", 1, reasoning: "Let me"), Counted("Par", 3), Counted("is", 4), """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5}}""", """{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5}}""", "[DONE]");

        var outputs = await GenerateAsync(engine);

        outputs.Select(output => output.Chunk).OfType<ChoiceChunk>().Select(chunk => (chunk.Position, chunk.TokenIds.Count, chunk.Text, chunk.Reasoning))
            .ShouldBe([(0, 1, "", "Let me"), (1, 2, "Par", ""), (3, 1, "is", ""), (4, 1, "", "")]);
        outputs[^1].Usage!.CompletionTokens.ShouldBe(5);
        stub.Asked.Single()["stream_options"]!.ToJsonString().ShouldBe("""{"include_usage":true,"continuous_usage_stats":true}""");

        static string Counted(string text, int tokens, string? reasoning = null) =>
            new JsonObject { ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = new JsonObject { ["content"] = text, ["reasoning_content"] = reasoning } }), ["usage"] = new JsonObject { ["prompt_tokens"] = 9, ["completion_tokens"] = tokens } }.ToJsonString();
    }

    [Fact]
    public async Task Tgi_says_in_its_own_way_how_much_it_takes()
    {
        await using var stub = await StartAsync(("/health", ""), ("/v1/models", Models), ("/metrics", "tgi_batch_current_size 3\ntgi_queue_size 1\n"), ("/info", """{"model_id":"org/tiny","max_concurrent_requests":8,"max_total_tokens":2000}"""));
        await using var engine = await stub.LoadAsync<TgiDialect>();

        (engine.Name, engine.Slots, engine.KvCapacityTokens, engine.Features.Count).ShouldBe(("tgi", 8, 16000, 0));
    }

    [Fact]
    public async Task Tensorrt_says_which_share_of_its_cache_is_used()
    {
        await using var stub = await StartAsync(("/health", ""), ("/v1/models", Models), ("/prometheus/metrics", "trtllm_kv_cache_utilization{model_name=\"tiny\"} 0.25\n"));
        await using var engine = await stub.LoadAsync<TensorRtDialect>(("slots", "4"));

        engine.KvCapacityTokens.ShouldBe(4000);
        while (engine.Load.KvUsedTokens == 0) await Task.Yield();
        engine.Load.KvUsedTokens.ShouldBe(1000);
    }

    [Fact]
    public async Task Ollama_is_asked_for_the_models_own_name()
    {
        await using var stub = await StartAsync(("/api/version", """{"version":"0.9.0"}"""), ("/v1/models", """{"data":[{"id":"llama3.2:latest"},{"id":"other:7b"}]}"""));
        await using var engine = await StubEngine.LoadAsync<OllamaDialect>(StubEngine.PoolOf("ollama", new ModelSource("ollama", "llama3.2"), ("url", stub.Url)), TimeProvider.System);
        stub.Answer = StubEngine.Events(Word("word"), End, "[DONE]");

        (await GenerateAsync(engine)).Count.ShouldBe(3);

        stub.Asked.Single()["model"]!.GetValue<string>().ShouldBe("llama3.2:latest");
        (engine.Slots, engine.KvCapacityTokens).ShouldBe((4, 4000));
    }

    /// <summary>What was said before is said again and passed over; where it is another, the request ends with the reason.</summary>
    [Theory]
    [InlineData("openai", "once upon", false)]
    [InlineData("openai", "there was", true)]
    [InlineData("tgi", "once upon", false)]
    [InlineData("tensorrt-llm", "once upon", false)]
    [InlineData("ollama", "once upon", false)]
    public async Task A_chat_that_cannot_be_gone_on_with_begins_again(string name, string beginning, bool isOther)
    {
        await using var stub = await StartAsync(("/health", ""), ("/api/version", "{}"), ("/v1/models", Models), ("/info", "{}"));
        await using var engine = await LoadAsync(name, stub);
        stub.Answer = StubEngine.Events(Word(beginning), Word(" a time"), End, "[DONE]");
        ChoiceChunk[] logged = [new(0, 0, [-1], "once upon")];

        if (isOther)
        {
            (await Should.ThrowAsync<EngineAnswerException>(() => GenerateAsync(engine, logged))).Message.ShouldContain("another than what its client has seen");
            return;
        }

        var chunks = (await GenerateAsync(engine, logged)).Select(output => output.Chunk).OfType<ChoiceChunk>().ToList();
        (string.Concat(chunks.Select(chunk => chunk.Text)), chunks[0].Position).ShouldBe((" a time", 1));
        stub.Asked.Single()["messages"]!.AsArray().Count.ShouldBe(1);
    }

    /// <summary>One call for each.</summary>
    [Fact]
    public async Task Several_choices_of_one_that_takes_one_at_a_time_are_several_calls()
    {
        await using var stub = await StartAsync(("/v1/models", Models));
        await using var engine = await LoadAsync("openai", stub);
        stub.Answer = StubEngine.Events(Word("word"), End, "[DONE]");

        var outputs = await GenerateAsync(engine, choices: 3);

        outputs.Select(output => output.Chunk).OfType<ChoiceChunk>().Select(chunk => chunk.Choice).Distinct().Order().ShouldBe([0, 1, 2]);
        stub.Asked.ShouldAllBe(asked => !asked.ContainsKey("n"));
        stub.Asked.Select(asked => asked["seed"]!.GetValue<int>()).Distinct().Count().ShouldBe(3);
    }

    [Fact]
    public async Task One_without_metrics_is_lost_once_its_health_has_failed_for_a_while()
    {
        await using var stub = await StartAsync(("/v1/models", Models));
        var time = new TestClock();
        await using var engine = await StubEngine.LoadAsync<GenericDialect>(StubEngine.PoolOf("openai", new ModelSource("huggingface", "org/tiny"), ("url", stub.Url)), time);
        engine.Load.Running.ShouldBe(0);

        stub.Pages["/v1/models"] = StubEngine.Says("{}", 500);
        await time.PassUntilAsync(engine.Lost, TimeSpan.FromMilliseconds(200));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/v1")]
    [InlineData("/v1/")]
    public async Task Its_address_may_have_openais_first_part(string path)
    {
        await using var stub = await StartAsync(("/v1/models", Models));
        await using var engine = await StubEngine.LoadAsync<GenericDialect>(StubEngine.PoolOf("openai", new ModelSource("huggingface", "org/tiny"), ("url", stub.Url + path)), TimeProvider.System);

        (engine.Name, engine.Slots, engine.KvCapacityTokens).ShouldBe(("openai", 16, 16000));
    }

    private static Task<IEngine> LoadAsync(string name, StubEngine stub) => name switch
    {
        "tgi" => stub.LoadAsync<TgiDialect>(),
        "tensorrt-llm" => stub.LoadAsync<TensorRtDialect>(),
        "ollama" => stub.LoadAsync<OllamaDialect>(),
        _ => stub.LoadAsync<GenericDialect>(),
    };

    private static async Task<StubEngine> StartAsync(params (string Path, string Text)[] pages)
    {
        var stub = await StubEngine.StartAsync();
        stub.Answer = StubEngine.Says("""{"detail":"Not Found"}""", 404);
        stub.Metrics = stub.Answer;
        foreach (var (path, text) in pages) stub.Pages[path] = StubEngine.Says(text);
        return stub;
    }

    private static string Word(string text) => new JsonObject { ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = new JsonObject { ["content"] = text } }) }.ToJsonString();

    private static async Task<List<EngineOutput>> GenerateAsync(IEngine engine, IReadOnlyList<ChoiceChunk>? logged = null, int choices = 1)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var output in engine.GenerateAsync(TestRequests.New() with { Choices = choices }, logged ?? [], Token)) outputs.Add(output);
        return outputs;
    }
}
