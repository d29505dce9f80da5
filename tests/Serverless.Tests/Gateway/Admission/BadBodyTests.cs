using System.Text;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Admission;

/// <summary>Bodies that are refused, and which field the refusal names.</summary>
public sealed class BadBodyTests
{
    private const string Messages = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";

    [Theory]
    [InlineData("", null)]
    [InlineData("   ", null)]
    [InlineData("{", null)]
    [InlineData("[]", null)]
    [InlineData("null", null)]
    [InlineData("\"text\"", null)]
    [InlineData("12", null)]
    [InlineData("{'model':'m'}", null)]
    [InlineData("{\"model\":\"m\",}", null)]
    [InlineData("{\"model\":\"m\"} {}", null)]
    [InlineData("{\"model\":\"m\"} // why", null)]
    [InlineData("{\"model\":NaN}", null)]
    [InlineData("{\"model\":01}", null)]
    [InlineData("{\"model\":\"\\x\"}", null)]
    [InlineData("{\"model\":\"a\nb\"}", null)]
    [InlineData("{\"model\":\"a\0b\"}", null)]
    [InlineData("{}", "model")]
    [InlineData("{\"model\":\"m\"}", "messages")]
    [InlineData("{\"model\":\"m\",\"messages\":[]}", "messages")]
    [InlineData("{\"model\":\"m\",\"messages\":null}", "messages")]
    [InlineData("{\"model\":\"m\",\"messages\":{}}", "messages")]
    [InlineData("{\"model\":\"m\",\"messages\":\"hi\"}", "messages")]
    [InlineData("{\"model\":\"m\",\"messages\":[1]}", "messages[0]")]
    [InlineData("{\"model\":\"m\",\"messages\":[null]}", "messages[0]")]
    [InlineData("{\"model\":\"m\",\"messages\":[[]]}", "messages[0]")]
    [InlineData("{\"model\":\"m\",\"messages\":[{}]}", "messages[0].role")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages[0].content")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":null}]}", "messages[0].content")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":null}]}", "messages[0].content")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":1}]}", "messages[0].content")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":{}}]}", "messages[0].content")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"king\",\"content\":\"hi\"}]}", "messages[0].role")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":1,\"content\":\"hi\"}]}", "messages[0].role")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":null,\"content\":\"hi\"}]}", "messages[0].role")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"user\",\"content\":7}]}", "messages[2].content")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[\"hi\"]}]}", "messages[0].content[0]")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\"}]}]}", "messages[0].content[1].text")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}]}", "messages[0].content[0].type")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"smell\"}]}]}", "messages[0].content[0].type")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":null}]}]}", "messages[0].content[0].text")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"4\"}]}", "messages[0].tool_call_id")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\",\"name\":5}]}", "messages[0].name")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\"}]}]}", "messages[0].tool_calls[0].function")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}]}", "messages[0].tool_calls[0].function.name")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}]}", "messages[0].tool_calls[0].function.arguments")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"role\":\"user\",\"content\":\"hi\"}]}", "messages[0].role")]
    public void A_malformed_chat_is_refused(string body, string? param) => Refuse(EndpointName.ChatCompletions, body).Param.ShouldBe(param);

    [Theory]
    [InlineData("\"model\":\"m\",\"model\":\"m\"", "model")]
    [InlineData("\"model\":\"m\",\"mod\\u0065l\":\"m\"", "mod\\u0065l")]
    [InlineData("\"model\":\"m\",\"own\":{\"a\":1,\"b\":{\"x\":1,\"x\":2}}", "own.b.x")]
    [InlineData("\"model\":\"m\",\"own\":[0,{\"a\":1,\"a\":1}]", "own[1].a")]
    [InlineData("\"model\":\"\"", "model")]
    [InlineData("\"model\":null", "model")]
    [InlineData("\"model\":[]", "model")]
    [InlineData("\"model\":\"m\",\"temperature\":2.1", "temperature")]
    [InlineData("\"model\":\"m\",\"temperature\":-0.1", "temperature")]
    [InlineData("\"model\":\"m\",\"temperature\":\"hot\"", "temperature")]
    [InlineData("\"model\":\"m\",\"temperature\":1e999", "temperature")]
    [InlineData("\"model\":\"m\",\"temperature\":[1]", "temperature")]
    [InlineData("\"model\":\"m\",\"top_p\":1.01", "top_p")]
    [InlineData("\"model\":\"m\",\"top_p\":true", "top_p")]
    [InlineData("\"model\":\"m\",\"top_k\":1.5", "top_k")]
    [InlineData("\"model\":\"m\",\"min_p\":2", "min_p")]
    [InlineData("\"model\":\"m\",\"presence_penalty\":-3", "presence_penalty")]
    [InlineData("\"model\":\"m\",\"frequency_penalty\":3", "frequency_penalty")]
    [InlineData("\"model\":\"m\",\"n\":0", "n")]
    [InlineData("\"model\":\"m\",\"n\":129", "n")]
    [InlineData("\"model\":\"m\",\"n\":1.5", "n")]
    [InlineData("\"model\":\"m\",\"n\":\"1\"", "n")]
    [InlineData("\"model\":\"m\",\"max_tokens\":0", "max_tokens")]
    [InlineData("\"model\":\"m\",\"max_tokens\":-1", "max_tokens")]
    [InlineData("\"model\":\"m\",\"max_tokens\":64.5", "max_tokens")]
    [InlineData("\"model\":\"m\",\"max_tokens\":1e-3", "max_tokens")]
    [InlineData("\"model\":\"m\",\"max_tokens\":1e400", "max_tokens")]
    [InlineData("\"model\":\"m\",\"chat_template_kwargs\":[1]", "chat_template_kwargs")]
    [InlineData("\"model\":\"m\",\"chat_template_kwargs\":\"x\"", "chat_template_kwargs")]
    [InlineData("\"model\":\"m\",\"chat_template_kwargs\":{\"messages\":[]}", "chat_template_kwargs.messages")]
    [InlineData("\"model\":\"m\",\"chat_template_kwargs\":{\"enable_thinking\":true,\"tools\":null}", "chat_template_kwargs.tools")]
    [InlineData("\"model\":\"m\",\"chat_template_kwargs\":{\"add_generation_prompt\":false}", "chat_template_kwargs.add_generation_prompt")]
    [InlineData("\"model\":\"m\",\"chat_template_kwargs\":{\"\\u0062os_token\":\"\"}", "chat_template_kwargs.\\u0062os_token")]
    [InlineData("\"model\":\"m\",\"ignore_eos\":1", "ignore_eos")]
    [InlineData("\"model\":\"m\",\"prediction\":1", "prediction")]
    [InlineData("\"model\":\"m\",\"max_tokens\":99999999999999999999", "max_tokens")]
    [InlineData("\"model\":\"m\",\"max_completion_tokens\":\"9\"", "max_completion_tokens")]
    [InlineData("\"model\":\"m\",\"seed\":1.5", "seed")]
    [InlineData("\"model\":\"m\",\"seed\":9223372036854775808", "seed")]
    [InlineData("\"model\":\"m\",\"stream\":\"yes\"", "stream")]
    [InlineData("\"model\":\"m\",\"stream\":1", "stream")]
    [InlineData("\"model\":\"m\",\"stream_options\":{\"include_usage\":true}", "stream_options")]
    [InlineData("\"model\":\"m\",\"stream\":true,\"stream_options\":true", "stream_options")]
    [InlineData("\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":1}", "stream_options.include_usage")]
    [InlineData("\"model\":\"m\",\"stop\":1", "stop")]
    [InlineData("\"model\":\"m\",\"stop\":\"\"", "stop")]
    [InlineData("\"model\":\"m\",\"stop\":{}", "stop")]
    [InlineData("\"model\":\"m\",\"stop\":[\"a\",2]", "stop[1]")]
    [InlineData("\"model\":\"m\",\"stop\":[\"a\",null]", "stop[1]")]
    [InlineData("\"model\":\"m\",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]", "stop[4]")]
    [InlineData("\"model\":\"m\",\"logprobs\":3", "logprobs")]
    [InlineData("\"model\":\"m\",\"top_logprobs\":3", "top_logprobs")]
    [InlineData("\"model\":\"m\",\"logprobs\":true,\"top_logprobs\":21", "top_logprobs")]
    [InlineData("\"model\":\"m\",\"logit_bias\":[]", "logit_bias")]
    [InlineData("\"model\":\"m\",\"logit_bias\":{\"5\":101}", "logit_bias.5")]
    [InlineData("\"model\":\"m\",\"logit_bias\":{\"five\":1}", "logit_bias.five")]
    [InlineData("\"model\":\"m\",\"user\":5", "user")]
    [InlineData("\"model\":\"m\",\"service_tier\":\"gold\"", "service_tier")]
    [InlineData("\"model\":\"m\",\"metadata\":{\"k\":1}", "metadata.k")]
    [InlineData("\"model\":\"m\",\"metadata\":\"k\"", "metadata")]
    [InlineData("\"model\":\"m\",\"metadata\":{\"\":\"v\"}", "metadata.")]
    [InlineData("\"model\":\"m\",\"response_format\":\"json\"", "response_format")]
    [InlineData("\"model\":\"m\",\"response_format\":{}", "response_format.type")]
    [InlineData("\"model\":\"m\",\"response_format\":{\"type\":\"xml\"}", "response_format.type")]
    [InlineData("\"model\":\"m\",\"tools\":{}", "tools")]
    [InlineData("\"model\":\"m\",\"tools\":[{}]", "tools[0].type")]
    [InlineData("\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]", "tools[0].function")]
    [InlineData("\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{}}]", "tools[0].function.name")]
    [InlineData("\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":1}}]", "tools[0].function.parameters")]
    [InlineData("\"model\":\"m\",\"tool_choice\":\"maybe\"", "tool_choice")]
    [InlineData("\"model\":\"m\",\"parallel_tool_calls\":\"no\"", "parallel_tool_calls")]
    [InlineData("\"model\":\"m\",\"reasoning_effort\":\"huge\"", "reasoning_effort")]
    [InlineData("\"model\":\"m\",\"verbosity\":1", "verbosity")]
    [InlineData("\"model\":\"m\",\"store\":\"yes\"", "store")]
    [InlineData("\"model\":\"m\",\"modalities\":[\"taste\"]", "modalities[0]")]
    [InlineData("\"model\":\"m\",\"user\":\"\\ud800\"", "user")]
    [InlineData("\"model\":\"m\",\"user\":\"\\ud800x\"", "user")]
    [InlineData("\"model\":\"m\",\"user\":\"\\ud800\\n\"", "user")]
    [InlineData("\"model\":\"m\",\"user\":\"\\udc00\"", "user")]
    [InlineData("\"model\":\"m\",\"user\":\"\\ud83d\\ud83d\"", "user")]
    [InlineData("\"model\":\"m\",\"user\":\"a\\u0000b\"", "user")]
    [InlineData("\"model\":\"m\",\"own\":[[{\"deep\":\"\\udc00\"}]]", "own[0][0].deep")]
    public void A_field_of_a_wrong_type_or_out_of_range_is_named(string fields, string param)
    {
        var fault = Refuse(EndpointName.ChatCompletions, $"{{{fields},{Messages}}}");

        fault.Param.ShouldBe(param);
        fault.Message.ShouldStartWith($"'{param}'");
    }

    [Theory]
    [InlineData("\"model\":\"m\"", "prompt")]
    [InlineData("\"model\":\"m\",\"prompt\":null", "prompt")]
    [InlineData("\"model\":\"m\",\"prompt\":1", "prompt")]
    [InlineData("\"model\":\"m\",\"prompt\":{}", "prompt")]
    [InlineData("\"model\":\"m\",\"prompt\":[]", "prompt")]
    [InlineData("\"model\":\"m\",\"prompt\":[true]", "prompt[0]")]
    [InlineData("\"model\":\"m\",\"prompt\":[\"a\",1]", "prompt[1]")]
    [InlineData("\"model\":\"m\",\"prompt\":[1,-1]", "prompt[1]")]
    [InlineData("\"model\":\"m\",\"prompt\":[1,1.5]", "prompt[1]")]
    [InlineData("\"model\":\"m\",\"prompt\":[1,1.0]", "prompt[1]")]
    [InlineData("\"model\":\"m\",\"prompt\":[[]]", "prompt[0]")]
    [InlineData("\"model\":\"m\",\"prompt\":[[1],[\"a\"]]", "prompt[1][0]")]
    [InlineData("\"model\":\"m\",\"prompt\":[[1],[null]]", "prompt[1][0]")]
    [InlineData("\"model\":\"m\",\"prompt\":[[1],2]", "prompt[1]")]
    [InlineData("\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":6", "logprobs")]
    [InlineData("\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":true", "logprobs")]
    [InlineData("\"model\":\"m\",\"prompt\":\"a\",\"echo\":1", "echo")]
    [InlineData("\"model\":\"m\",\"prompt\":\"a\",\"best_of\":0", "best_of")]
    [InlineData("\"model\":\"m\",\"prompt\":\"a\",\"best_of\":1,\"n\":2", "best_of")]
    [InlineData("\"model\":\"m\",\"prompt\":\"a\",\"suffix\":1", "suffix")]
    public void A_malformed_completion_is_refused(string fields, string param) => Refuse(EndpointName.Completions, $"{{{fields}}}").Param.ShouldBe(param);

    [Fact]
    public void Bytes_that_are_not_utf8_and_a_byte_order_mark_are_refused()
    {
        var body = Encoding.UTF8.GetBytes($"{{\"model\":\"m\",{Messages}}}");

        Refuse(EndpointName.ChatCompletions, [0xEF, 0xBB, 0xBF, .. body]).Message.ShouldContain("byte order mark");
        body[11] = 0xFF;
        Refuse(EndpointName.ChatCompletions, body).Message.ShouldContain("UTF-8");
    }

    [Theory]
    [InlineData('[', ']')]
    [InlineData('{', '}')]
    public void Deep_nesting_is_refused_with_the_limit(char open, char close)
    {
        var step = open == '{' ? "{\"a\":" : "[";
        var deep = string.Concat(Enumerable.Repeat(step, 100_000)) + "1" + new string(close, 100_000);

        Refuse(EndpointName.ChatCompletions, $"{{\"own\":{deep}}}").Message.ShouldContain("64");
    }

    [Fact]
    public void More_names_than_are_compared_in_place_are_still_checked()
    {
        var fields = string.Join(',', Enumerable.Range(0, 100).Select(i => $"\"f{i}\":{i}"));

        Refuse(EndpointName.ChatCompletions, $"{{{fields},\"f3\":1}}").Param.ShouldBe("f3");
        Refuse(EndpointName.ChatCompletions, $"{{{fields},\"f77\":1}}").Param.ShouldBe("f77");
    }

    [Fact]
    public void An_object_of_more_names_than_any_schema_has_is_refused_before_it_costs_memory()
    {
        var most = string.Join(',', Enumerable.Range(0, SeenNames.Most).Select(i => $"\"f{i}\":{i}"));
        var body = Encoding.UTF8.GetBytes($"{{\"model\":\"m\",{Messages},\"own\":{{{most},\"more\":1}}}}");

        BodyParser.Parse(EndpointName.ChatCompletions, Encoding.UTF8.GetBytes($"{{\"model\":\"m\",{Messages},\"own\":{{{most}}}}}")).Model.ShouldBe("m");
        var fault = Refuse(EndpointName.ChatCompletions, body);
        fault.Param.ShouldBe("own.more");
        fault.Message.ShouldContain("comes after 1024 other names");
    }

    [Fact]
    public void Sixteen_megabytes_of_names_cost_less_than_a_megabyte_beside_the_body()
    {
        var body = new StringBuilder("{");
        for (var i = 0; body.Length < 16_000_000; i++) body.Append(System.Globalization.CultureInfo.InvariantCulture, $"\"{i:x}\":1,");
        var bytes = Encoding.UTF8.GetBytes(body.Append($"\"model\":\"m\",{Messages}}}").ToString());
        Refuse(EndpointName.ChatCompletions, "{}"u8.ToArray()); // what the first refusal costs once

        var before = GC.GetAllocatedBytesForCurrentThread();
        Refuse(EndpointName.ChatCompletions, bytes).Message.ShouldContain("1024");

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1 << 20);
    }

    [Fact]
    public void A_stop_string_is_bounded_for_what_may_become_one_is_held_back()
    {
        Refuse(EndpointName.ChatCompletions, $$"""{"model":"m","messages":[{"role":"user","content":"a"}],"stop":["{{new string('x', 1025)}}"]}""").ShouldSatisfyAllConditions(
            fault => fault.Param.ShouldBe("stop[0]"),
            fault => fault.Message.ShouldContain("1025 bytes; at most 1024"));
    }

    [Fact]
    public void Too_many_metadata_or_too_long_ones_are_refused()
    {
        var pairs = string.Join(',', Enumerable.Range(0, 17).Select(i => $"\"k{i}\":\"v\""));

        Refuse(EndpointName.ChatCompletions, $"{{\"metadata\":{{{pairs}}}}}").Param.ShouldBe("metadata.k16");
        Refuse(EndpointName.ChatCompletions, $"{{\"metadata\":{{\"k\":\"{new string('v', 513)}\"}}}}").Param.ShouldBe("metadata.k");
        Refuse(EndpointName.ChatCompletions, $"{{\"metadata\":{{\"{new string('k', 65)}\":\"v\"}}}}").Error.ShouldBe(ServingError.InvalidRequest);
        Refuse(EndpointName.ChatCompletions, $"{{\"metadata\":{{\"{new string('k', 6500)}\":\"v\"}}}}").Error.ShouldBe(ServingError.InvalidRequest);
    }

    [Fact]
    public void A_refusal_shows_no_prompt_text()
    {
        Refuse(EndpointName.ChatCompletions, """{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":{"secret":1}}]}]}""").Message.ShouldNotContain("secret");
        Refuse(EndpointName.ChatCompletions, """{"model":"m","messages":[{"role":"user","content":["secret"]}]}""").Message.ShouldNotContain("secret");
    }

    private static ServingFault Refuse(EndpointName kind, string body) => Refuse(kind, Encoding.UTF8.GetBytes(body));

    private static ServingFault Refuse(EndpointName kind, byte[] body)
    {
        var fault = Should.Throw<ServingException>(() => BodyParser.Parse(kind, body)).Fault;
        fault.Error.ShouldBe(ServingError.InvalidRequest);
        fault.Message.Length.ShouldBeLessThan(400);
        return fault;
    }
}
