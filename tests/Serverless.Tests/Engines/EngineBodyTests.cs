using System.Text.Json.Nodes;
using Serverless.Catalog;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>What engines are sent.</summary>
public sealed class EngineBodyTests
{
    [Fact]
    public void The_clients_own_fields_go_through_and_ours_are_ours()
    {
        var body = Write("""{"model":"m","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":9000,"n":2,"temperature":0.5,"tools":[{"type":"function"}],"of_tomorrow":{"a":[1]},"stream":false,"metadata":{"k":"v"},"priority":7}""", new VllmDialect());

        body["of_tomorrow"]!.ToJsonString().ShouldBe("""{"a":[1]}""");
        (body["temperature"]!.GetValue<double>(), body["tools"]!.AsArray().Count).ShouldBe((0.5, 1));
        (body["stream"]!.GetValue<bool>(), body["stream_options"]!["include_usage"]!.GetValue<bool>(), body["max_tokens"]!.GetValue<int>()).ShouldBe((true, true, 20));
        (body["return_token_ids"]!.GetValue<bool>(), body["model"]!.GetValue<string>(), body.ContainsKey("priority")).ShouldBe((true, "served", false));
        (body["top_p"]!.GetValue<double>(), body["top_k"]!.GetValue<int>(), body["min_p"]!.GetValue<double>()).ShouldBe((1, 0, 0.25), "the model's defaults, then OpenAI's, never the engine's");
        foreach (var gone in (string[])["max_completion_tokens", "metadata", "n"]) body.ContainsKey(gone).ShouldBeFalse(gone);
    }

    [Fact]
    public void A_chat_goes_on_from_its_last_message()
    {
        var vllm = Write("""{"model":"m","messages":[{"role":"user","content":"hi"}]}""", new VllmDialect(), "so \"far\"", 5);
        var llama = Write("""{"model":"m","messages":[{"role":"user","content":"hi"}],"repetition_penalty":1.1}""", new LlamaCppDialect(), "so far", 5);

        vllm["messages"]!.AsArray()[^1]!.ToJsonString().ShouldBe("""{"role":"assistant","content":"so \u0022far\u0022"}""");
        (vllm["continue_final_message"]!.GetValue<bool>(), vllm["add_generation_prompt"]!.GetValue<bool>(), vllm["max_tokens"]!.GetValue<int>()).ShouldBe((true, false, 15));
        llama["continue_final_message"]!.GetValue<bool>().ShouldBeTrue("or it repeats the message");
        (llama["repeat_penalty"]!.GetValue<double>(), llama.ContainsKey("repetition_penalty")).ShouldBe((1.1, false));
    }

    /// <summary>vLLM's and SGLang's <c>priority</c>, lower first: the lane, then the deadline.</summary>
    [Fact]
    public void What_waits_in_an_engine_is_told_apart_by_lane_then_deadline()
    {
        int Of(Lane lane, int seconds, EngineDialect dialect) => JsonNode.Parse(EngineBody.Write(
            TestRequests.New() with { Lane = lane, Deadline = DateTimeOffset.UnixEpoch.AddYears(60).AddSeconds(seconds) }, 0, "", 0, new EngineManner(dialect, "served", SamplingDefaults.None, ByDeadline: true)))!["priority"]!.GetValue<int>();

        foreach (var dialect in new EngineDialect[] { new VllmDialect(), new SgLangDialect() })
        {
            int[] order = [Of(Lane.Realtime, 100, dialect), Of(Lane.Interactive, 5, dialect), Of(Lane.Interactive, 6, dialect), Of(Lane.Batch, 0, dialect)];
            order.ShouldBe(order.Order().Distinct());
        }

        Write("""{"messages":[]}""", new SgLangDialect()).ContainsKey("priority").ShouldBeFalse("it refuses one where it was not started for it");
    }

    [Theory]
    [InlineData("vllm", 1.0, 0, 0.25)]
    [InlineData("sglang", 1.0, -1, 0.25)]
    [InlineData("tgi", null, null, null)]
    [InlineData("ollama", 1.0, null, null)]
    [InlineData("openai", 1.0, null, null)]
    public void How_tokens_are_chosen_is_said_as_far_as_an_engine_knows_it(string name, double? topP, int? topK, double? minP)
    {
        var body = Write("""{"messages":[],"temperature":0}""", Dialects.Of(name));

        (body["top_p"]?.GetValue<double>(), body["top_k"]?.GetValue<int>(), body["min_p"]?.GetValue<double>(), body["temperature"]!.GetValue<double>()).ShouldBe((topP, topK, minP, 0));
        Write("""{"messages":[],"top_p":0.5}""", Dialects.Of(name))["top_p"]!.GetValue<double>().ShouldBe(0.5);
    }

    [Fact]
    public void Several_choices_are_asked_for_at_once_whatever_they_are_of()
    {
        Write("""{"messages":[],"n":3,"best_of":3}""", new VllmDialect(), choice: null, choices: 3)["n"]!.GetValue<int>().ShouldBe(3);
        Write("""{"prompt":["a","b"]}""", new VllmDialect(), endpoint: EndpointName.Completions, choice: null, choices: 4)["n"]!.GetValue<int>().ShouldBe(2);
        Write("""{"prompt":[1,2,3]}""", new VllmDialect(), endpoint: EndpointName.Completions, choice: null, choices: 4)["n"]!.GetValue<int>().ShouldBe(4);
    }

    [Fact]
    public void A_completion_goes_on_from_its_prompt()
    {
        var body = Write("""{"model":"m","prompt":["a","b"]}""", new LlamaCppDialect(), " more", 2, EndpointName.Completions, choice: 1, choices: 2);

        body["prompt"]!.GetValue<string>().ShouldBe("b more");
    }

    [Theory]
    [InlineData("""{"messages":[]}""", false)]
    [InlineData("""{"response_format":{"type":"text"},"tools":null}""", false)]
    [InlineData("""{"response_format":{"type":"json_object"}}""", true)]
    [InlineData("""{"tools":[{}]}""", true)]
    [InlineData("""{"guided_json":{}}""", true)]
    [InlineData("""{"grammar":"root ::= x"}""", true)]
    public void Output_of_a_form_is_told_from_plain_text(string body, bool hasForm) => EngineBody.HasForm(TestRequests.New() with { Body = System.Text.Encoding.UTF8.GetBytes(body) }).ShouldBe(hasForm);

    private static JsonObject Write(string body, EngineDialect dialect, string emitted = "", int tokens = 0, EndpointName? endpoint = null, int? choice = 0, int choices = 1, bool byDeadline = false)
    {
        var request = TestRequests.New() with { Body = System.Text.Encoding.UTF8.GetBytes(body), Endpoint = endpoint ?? EndpointName.ChatCompletions, Choices = choices };
        return JsonNode.Parse(EngineBody.Write(request, choice, emitted, tokens, new EngineManner(dialect, "served", new SamplingDefaults { Temperature = 0.1, MinP = 0.25 }, byDeadline)))!.AsObject();
    }
}
