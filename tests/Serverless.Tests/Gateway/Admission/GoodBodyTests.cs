using System.Text;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Gateway.Admission;
using Serverless.Hosting.Engines.Simulated;
using Serverless.Inference.Batching;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Admission;

/// <summary>Bodies that are taken, and what is read of them.</summary>
public sealed class GoodBodyTests
{
    private const string Messages = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";

    private static readonly Model Model = new()
    {
        Name = new ModelName("m"),
        Family = "test",
        Source = new ModelSource("simulated", "m"),
        ContextTokens = 100,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
    };

    [Theory]
    [InlineData("\"temperature\":0,\"top_p\":1,\"n\":128,\"stop\":null,\"seed\":-9223372036854775808,\"user\":\"é😀\"")]
    [InlineData("\"temperature\":2.0,\"stop\":[\"a\",\"b\",\"c\",\"d\"],\"presence_penalty\":0,\"frequency_penalty\":0.0,\"logit_bias\":{}")]
    [InlineData("\"stop\":[],\"logit_bias\":null,\"metadata\":{},\"metadata2\":{\"a\":[{}]},\"user\":\"\\ud83d\\ude00\\n\"")]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_usage\":false,\"include_obfuscation\":false,\"continuous_usage_stats\":true}")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true")]
    [InlineData("\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"store\":false,\"service_tier\":\"auto\"")]
    [InlineData("\"top_k\":-1,\"min_p\":0.05,\"chat_template_kwargs\":{\"enable_thinking\":false},\"reasoning_effort\":\"none\",\"verbosity\":\"medium\"")]
    [InlineData("\"max_tokens\":64.0,\"n\":1e2,\"seed\":-6.4e1,\"top_k\":1E1,\"max_completion_tokens\":9.007199254740993e15")]
    [InlineData("\"presence_penalty\":0.5,\"frequency_penalty\":-2,\"logit_bias\":{\"5\":-100,\"6\":100}")]
    [InlineData("\"tools\":[],\"chat_template_kwargs\":null")]
    [InlineData("\"tools\":null,\"tool_choice\":\"none\",\"functions\":[]")]
    [InlineData("\"repetition_penalty\":1.0,\"min_tokens\":0,\"skip_special_tokens\":true,\"stop_token_ids\":[],\"add_generation_prompt\":true,\"guided_json\":null,\"priority\":0")]
    [InlineData("\"prediction\":{\"type\":\"content\",\"content\":\"x\"},\"prompt_cache_key\":\"k\",\"prompt_cache_options\":{},\"safety_identifier\":\"u\",\"any_engines_own\":[1]")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":0,\"max_tokens\":9223372036854775807,\"prediction\":{\"type\":\"content\",\"content\":\"x\"}")]
    public void A_chat_with_legal_fields_is_taken(string fields) => Refusal(EndpointName.ChatCompletions, $"{{\"model\":\"m\",{fields},{Messages}}}").ShouldBeNull();

    [Theory]
    [InlineData("""{"role":"developer","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hi"}]}""")]
    [InlineData("""{"role":"user","content":"2+2"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"add","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"4"}""")]
    [InlineData("""{"role":"user","content":"2+2"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"add","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"4"}""")]
    [InlineData("""{"role":"user","content":"2+2"},{"role":"assistant","content":[{"type":"text","text":"I add."}],"tool_calls":[{"id":"c","type":"function","function":{"name":"add","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"4"}]}""")]
    [InlineData("""{"role":"user","content":""},{"role":"assistant","content":"","refusal":null,"audio":null,"name":"bot"}""")]
    public void Conversations_of_every_kind_are_taken(string messages) => Refusal(EndpointName.ChatCompletions, $"{{\"model\":\"m\",\"messages\":[{messages}]}}").ShouldBeNull();

    [Theory]
    [InlineData("\"a\"", 1, false)]
    [InlineData("[\"a\",\"b\"]", 2, false)]
    [InlineData("[1,2,3]", 1, true)]
    [InlineData("[[1,2],[3]]", 2, true)]
    public void Prompts_of_all_four_kinds_are_found(string prompt, int count, bool tokens)
    {
        var json = $"{{\"model\":\"m\",\"prompt\": {prompt} ,\"n\":2}}";
        var body = BodyParser.Parse(EndpointName.Completions, Encoding.UTF8.GetBytes(json));

        body.Prompts.Count.ShouldBe(count);
        body.PromptsAreTokens.ShouldBe(tokens);
        body.ChoicesPerPrompt.ShouldBe(2);
        if (count == 1) json[body.Prompts[0]].ShouldBe(prompt);
        else json[body.Prompts[1]].ShouldBe(tokens ? "[3]" : "\"b\"");
    }

    [Theory]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}", "response_format.type")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}", "response_format.type")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice")]
    [InlineData("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}", "tool_choice")]
    [InlineData("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true}}]", "tools[0].function.strict")]
    [InlineData("\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"f\"}}]", "tools[0].type")]
    [InlineData("\"functions\":[{\"name\":\"f\"}]", "functions")]
    [InlineData("\"parallel_tool_calls\":false", "parallel_tool_calls")]
    [InlineData("\"reasoning_effort\":\"low\"", "reasoning_effort")]
    [InlineData("\"verbosity\":\"high\"", "verbosity")]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}", "stream_options.include_obfuscation")]
    [InlineData("\"moderation\":{}", "moderation")]
    [InlineData("\"length_penalty\":1.1", "length_penalty")]
    [InlineData("\"skip_special_tokens\":false", "skip_special_tokens")]
    [InlineData("\"stop_token_ids\":[{\"a\":[1]}]", "stop_token_ids")]
    [InlineData("\"guided_json\":{\"type\":\"object\"}", "guided_json")]
    [InlineData("\"chat_template\":\"{{ messages }}\"", "chat_template")]
    [InlineData("\"add_generation_prompt\":false", "add_generation_prompt")]
    [InlineData("\"priority\":-1", "priority")]
    [InlineData("\"cache_salt\":\"x\"", "cache_salt")]
    [InlineData("\"modalities\":[\"text\",\"audio\"]", "modalities[1]")]
    [InlineData("\"audio\":{\"voice\":\"alloy\"}", "audio")]
    [InlineData("\"store\":true", "store")]
    [InlineData("\"web_search_options\":{}", "web_search_options")]
    public void What_no_engine_honours_is_refused_and_named(string fields, string param) =>
        Refusal(EndpointName.ChatCompletions, $"{{\"model\":\"m\",{fields},{Messages}}}").ShouldBe(param);

    [Theory]
    [InlineData("image_url")]
    [InlineData("input_audio")]
    [InlineData("file")]
    public void Parts_that_are_not_text_are_refused(string type) =>
        Refusal(EndpointName.ChatCompletions, $"{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"{type}\"}}]}}]}}").ShouldBe("messages[0].content[0].type");

    [Theory]
    [InlineData("\"prompt\":\"a\",\"suffix\":\"b\"", "suffix")]
    [InlineData("\"prompt\":\"a\",\"best_of\":2", "best_of")]
    [InlineData("\"prompt\":[1],\"echo\":true", "echo")]
    [InlineData("\"prompt\":\"a\",\"echo\":true,\"logprobs\":1", null)]
    [InlineData("\"prompt\":\"a\",\"echo\":true,\"best_of\":1,\"suffix\":\"\"", null)]
    public void What_no_engine_honours_of_a_completion_is_refused(string fields, string? param) => Refusal(EndpointName.Completions, $"{{\"model\":\"m\",{fields}}}").ShouldBe(param);

    [Fact]
    public void Every_feature_has_its_refusal_and_an_unknown_engine_honours_none()
    {
        var unknown = Model with { Backend = "own-recipe" };
        foreach (var feature in Enum.GetValues<EngineFeature>()) Capabilities.Check(TestEngines.Table, unknown, "{}"u8, [(feature, 0)]).ShouldNotBeNull(feature.ToString());
    }

    [Fact]
    public void What_a_replica_holds_is_what_its_engine_takes_by_default_or_its_flavor_says()
    {
        Capabilities.LargestReplica(TestEngines.Table, Model with { Backend = "in-process" }).ShouldBe(new InferenceEngineOptions().KvTokens);
        Capabilities.LargestReplica(TestEngines.Table, Model).ShouldBe(new SimulatedEngineOptions().KvTokens);
        Capabilities.LargestReplica(TestEngines.Table, Model with { Backend = "vllm" }).ShouldBeNull();

        Flavor Of(string tokens) => new() { Name = $"f{tokens}", AcceleratorClass = "cpu", Params = new Dictionary<string, string> { ["kvTokens"] = tokens } };
        Capabilities.LargestReplica(TestEngines.Table, Model with { Flavors = [Of("64"), Of("128")] }).ShouldBe(128);
    }

    [Fact]
    public void Padding_is_closed_up_and_nothing_else_is_touched()
    {
        var text = """a  b\" \\ {\"x\" : [1 , 2]}\n  """;
        var padding = new string(' ', 3000) + "\n\r\t";
        var body = Encoding.UTF8.GetBytes($"{padding}{{{padding}\"model\"{padding}:{padding}\"m\"{padding},{padding}\"messages\":[{{\"role\":\"user\",\"content\":{padding}\"{text}\"}}]{padding}}}{padding}");

        var parsed = BodyParser.Parse(EndpointName.ChatCompletions, ref body);

        Encoding.UTF8.GetString(body).ShouldBe($"{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}");
        Encoding.UTF8.GetString(body[parsed.Prompts[0]]).ShouldStartWith("[{");
    }

    [Fact]
    public void A_body_that_is_only_written_nicely_is_left_as_it_came()
    {
        var body = Encoding.UTF8.GetBytes("{\n  \"model\": \"m\",\n  \"prompt\": \"" + new string('a', 100_000) + "\"\n}");
        var same = body;

        BodyParser.Parse(EndpointName.Completions, ref body);

        body.ShouldBeSameAs(same);
    }

    private static string? Refusal(EndpointName endpoint, string json)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        return Capabilities.Check(TestEngines.Table, Model, bytes, BodyParser.Parse(endpoint, bytes).Asked)?.Param;
    }
}
