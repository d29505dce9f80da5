using System.Text;
using Serverless.Engines;
using Serverless.Errors;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>vLLM 0.32 as it was recorded, over real HTTP, row by row of what its dialect says.</summary>
public sealed class VllmEngineTests
{
    private static readonly (string, string) Served = ("servedName", "smollm2");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_is_met_by_its_health_its_models_and_its_metrics()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm", "metrics_busy");
        await using var engine = await stub.LoadAsync<VllmDialect>(("slots", "16"));

        (engine.Name, engine.Slots, engine.KvCapacityTokens).ShouldBe(("vllm", 16, 93184));
        engine.Features.ShouldBe(["forced_tool_call", "json_output", "logit_bias", "penalties", "repetition_penalty"]);
        while (engine.Load.Running == 0) await Task.Yield();
        (engine.Load.Running, engine.Load.KvUsedTokens).ShouldBe((24, (long)(0.022008253094910613 * 93184)));
    }

    [Theory]
    [InlineData("err_unknown_route", "answers 404; is it vllm?")]
    [InlineData("err_method", "answers 405; is it vllm?")]
    public async Task What_is_no_vllm_is_a_load_fault(string health, string reason)
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        stub.Pages["/health"] = StubEngine.Plays(Recording.Of("vllm", health));

        (await Should.ThrowAsync<EngineLoadException>(() => stub.LoadAsync<VllmDialect>())).Message.ShouldContain(reason);
    }

    [Fact]
    public async Task A_model_that_it_does_not_have_is_a_load_fault_that_names_those_it_has()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        stub.Pages["/v1/models"] = StubEngine.Plays(Recording.Of("vllm", "lora_models"));

        (await Should.ThrowAsync<EngineLoadException>(() => stub.LoadAsync<VllmDialect>(("servedName", "nope")))).Message.ShouldContain("has no model 'nope'; it has smollm2, pirate: write");
        await using var adapter = await stub.LoadAsync<VllmDialect>(("servedName", "pirate"));
        await using var only = await stub.LoadAsync<VllmDialect>(); // an adapter is no model of its own
    }

    [Fact]
    public async Task A_chat_is_its_words_and_what_it_used()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.Plays(Recording.Of("vllm", "chat_stream_usage"));

        var outputs = await GenerateAsync(engine, TestRequests.New() with { MaxOutputTokens = 24 });

        Text(outputs).ShouldStartWith("L'Étoile");
        Chunks(outputs).Last().Finish.ShouldBe(FinishReason.Length);
        outputs[^1].Usage.ShouldNotBeNull().CompletionTokens.ShouldBe(24);
        stub.Asked.Single()["model"]!.GetValue<string>().ShouldBe("smollm2");
    }

    [Fact]
    public async Task Its_tokens_are_the_logs()
    {
        var chunks = await PlayAsync("chat_stream_return_token_ids", 5);

        chunks.SelectMany(chunk => chunk.TokenIds).ShouldBe([60, 23, 39614, 1141, 552]);
        chunks.Select(chunk => chunk.Position).ShouldBe(Enumerable.Range(0, 5));
    }

    [Fact]
    public async Task Two_choices_come_of_one_call()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.Plays(Recording.Of("vllm", "chat_stream_n2"));

        var chunks = Chunks(await GenerateAsync(engine, TestRequests.New() with { Choices = 2, MaxOutputTokens = 6 })).ToList();

        stub.Asked.Single()["n"]!.GetValue<int>().ShouldBe(2);
        foreach (var choice in new[] { 0, 1 }) chunks.Last(chunk => chunk.Choice == choice).Finish.ShouldBe(FinishReason.Length);
    }

    [Fact]
    public async Task A_call_of_a_tool_comes_in_fragments()
    {
        var chunks = await PlayAsync("chat_stream_tools_required", 60);

        var calls = chunks.SelectMany(chunk => chunk.ToolCalls).ToList();
        calls[0].Name.ShouldBe("get_weather");
        string.Concat(calls.Select(call => call.Arguments)).ShouldBe("\"Paris\"");
        chunks[^1].Finish.ShouldBe(FinishReason.ToolCalls);
    }

    [Fact]
    public async Task Log_probabilities_come_with_their_alternatives()
    {
        var chunks = await PlayAsync("chat_stream_logprobs", 24);

        chunks.SelectMany(chunk => chunk.LogProbs).ShouldNotBeEmpty();
        chunks.SelectMany(chunk => chunk.LogProbs).ShouldAllBe(token => token.Top.Count == 2);
    }

    [Fact]
    public async Task A_chat_goes_on_from_what_was_said()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.Plays(Recording.Of("vllm", "chat_continue_stream"));

        var outputs = await GenerateAsync(engine, TestRequests.New() with { MaxOutputTokens = 24 }, [new ChoiceChunk(0, 0, [1, 2, 3], "The capital of")]);

        Text(outputs).ShouldBe(" France is Paris.");
        Chunks(outputs).First().Position.ShouldBe(3);
        var asked = stub.Asked.Single();
        asked["messages"]!.AsArray()[^1]!["content"]!.GetValue<string>().ShouldBe("The capital of");
        (asked["continue_final_message"]!.GetValue<bool>(), asked["add_generation_prompt"]!.GetValue<bool>(), asked["max_tokens"]!.GetValue<int>()).ShouldBe((true, false, 21));
    }

    /// <summary>Of a form no beginning is taken: it says the same again, which is passed over.</summary>
    [Fact]
    public async Task Output_of_a_form_is_begun_again()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.Plays(Recording.Of("vllm", "chat_stream_json_schema"));
        var request = TestRequests.New() with { MaxOutputTokens = 200, Body = Encoding.UTF8.GetBytes("""{"messages":[],"response_format":{"type":"json_object"}}""") };
        var whole = await GenerateAsync(engine, request);

        var rest = await GenerateAsync(engine, request, [.. Chunks(whole).Take(5)]);

        (Text(whole.Take(5)) + Text(rest)).ShouldBe(Text(whole));
        stub.Asked.Last()["messages"]!.AsArray().Count.ShouldBe(0);
    }

    [Theory]
    [InlineData("err_context", ServingError.ContextTooLong)]
    [InlineData("err_max_tokens_huge", ServingError.ContextTooLong)]
    [InlineData("err_bad_schema", ServingError.InvalidRequest)]
    [InlineData("err_temperature", ServingError.InvalidRequest)]
    [InlineData("err_malformed", ServingError.InvalidRequest)]
    [InlineData("err_unknown_model", ServingError.EngineFailed)]
    [InlineData("err_method", ServingError.EngineFailed)]
    public async Task What_it_refuses_the_client_is_told(string recorded, ServingError error)
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.Plays(Recording.Of("vllm", recorded));

        (await Should.ThrowAsync<ServingException>(() => GenerateAsync(engine, TestRequests.New()))).Fault.Error.ShouldBe(error);
        stub.Asked.Count.ShouldBe(error == ServingError.ContextTooLong ? 2 : 1);
    }

    /// <summary>A prompt that was counted by guess: the engine is asked for as much as its context leaves.</summary>
    [Fact]
    public async Task An_output_that_its_context_has_no_room_for_is_as_long_as_there_is_room()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.InTurn(StubEngine.Plays(Recording.Of("vllm", "err_max_tokens_huge")), StubEngine.Plays(Recording.Of("vllm", "chat_stream_usage")));

        var outputs = await GenerateAsync(engine, TestRequests.New() with { MaxOutputTokens = 100_000 });

        Text(outputs).ShouldStartWith("L'Étoile");
        stub.Asked.Select(asked => asked["max_tokens"]?.GetValue<int>()).ShouldBe([100_000, null]);
    }

    [Fact]
    public async Task It_is_shown_its_key()
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        Environment.SetEnvironmentVariable("VLLM_TESTS_KEY", "secret");
        await using var engine = await stub.LoadAsync<VllmDialect>(("apiKeyVariable", "VLLM_TESTS_KEY"));

        stub.Keys.ShouldNotBeEmpty();
        stub.Keys.ShouldAllBe(key => key == "Bearer secret");
        (await Should.ThrowAsync<EngineLoadException>(() => stub.LoadAsync<VllmDialect>(("apiKeyVariable", "VLLM_TESTS_NO_KEY")))).Message.ShouldContain("has no 'VLLM_TESTS_NO_KEY'");
    }

    private static async Task<List<ChoiceChunk>> PlayAsync(string recorded, int most)
    {
        await using var stub = await StubEngine.StartRecordedAsync("vllm");
        await using var engine = await stub.LoadAsync<VllmDialect>(Served);
        stub.Answer = StubEngine.Plays(Recording.Of("vllm", recorded));
        return [.. Chunks(await GenerateAsync(engine, TestRequests.New() with { MaxOutputTokens = most }))];
    }

    private static async Task<List<EngineOutput>> GenerateAsync(IEngine engine, InferenceRequest request, IReadOnlyList<ChoiceChunk>? logged = null)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var output in engine.GenerateAsync(request, logged ?? [], Token)) outputs.Add(output);
        return outputs;
    }

    private static IEnumerable<ChoiceChunk> Chunks(IEnumerable<EngineOutput> outputs) => outputs.Select(output => output.Chunk).OfType<ChoiceChunk>();

    private static string Text(IEnumerable<EngineOutput> outputs) => string.Concat(Chunks(outputs).Select(chunk => chunk.Text));
}
