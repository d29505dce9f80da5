using System.Text;
using Serverless.Errors;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Gguf;
using Serverless.Inference.Tokenizers;
using Serverless.Requests;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Tokens;

/// <summary>What of an OpenAI body becomes the prompt, and what is refused because it would not.</summary>
public sealed class PromptReaderTests : IDisposable
{
    private const int Begin = 257;
    private const int End = 258;

    private static readonly DateTimeOffset At = new(2026, 11, 29, 23, 59, 58, TimeSpan.Zero);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-prompt");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_models_own_begin_and_end_texts_and_the_requests_time_are_written()
    {
        var (reader, tokenizer) = Load("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ strftime_now('%Y-%m-%d %H:%M:%S') }}", addBegin: false);

        var tokens = Chat(reader, """{"messages":[{"role":"user","content":"x"}]}""");

        tokens[0].ShouldBe(Begin);
        tokens[2].ShouldBe(End);
        tokenizer.Decode(tokens).ShouldBe("x2026-11-29 23:59:58");
    }

    [Theory]
    [InlineData("{{ bos_token }}{{ messages[0].content }}", true)]
    [InlineData("{{ messages[0].content }}", true)]
    [InlineData("{{ bos_token }}{{ messages[0].content }}", false)]
    [InlineData("<s>{{ messages[0].content }}", true)]
    public void A_prompt_begins_once_whoever_writes_it(string template, bool addBegin)
    {
        var (reader, _) = Load(template, addBegin);

        Chat(reader, """{"messages":[{"role":"user","content":"x"}]}""").Count(token => token == Begin).ShouldBe(1);
        Prompts(reader, """{"prompt":"x"}""")[0].Count(token => token == Begin).ShouldBe(addBegin ? 1 : 0);
        Prompts(reader, """{"prompt":[257,1]}""")[0].ShouldBe([257, 1]);
    }

    [Theory]
    [InlineData("messages", "[]")]
    [InlineData("tools", "[]")]
    [InlineData("add_generation_prompt", "false")]
    [InlineData("bos_token", "\"\"")]
    [InlineData("eos_token", "\"\"")]
    [InlineData("raise_exception", "1")]
    [InlineData("strftime_now", "1")]
    public void Variables_that_the_server_sets_are_refused_by_name(string name, string value)
    {
        var (reader, _) = Load("{{ messages[0].content }}");

        var fault = Refused(() => Chat(reader, $$$"""{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{"{{{name}}}":{{{value}}}}}"""));

        fault.Param.ShouldBe($"chat_template_kwargs.{name}");
        fault.Message.ShouldContain(name);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("\"thinking\"")]
    [InlineData("3")]
    public void Variables_that_are_no_object_are_refused(string value)
    {
        var (reader, _) = Load("{{ messages[0].content }}");

        Refused(() => Chat(reader, $$"""{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{{value}}}""")).Param.ShouldBe("chat_template_kwargs");
    }

    [Fact]
    public void A_requests_own_variables_reach_the_template()
    {
        var (reader, tokenizer) = Load("{{ style }}{{ messages[0].content }}");

        tokenizer.Decode(Chat(reader, """{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{"style":"a"}}""")).ShouldBe("ax");
        tokenizer.Decode(Chat(reader, """{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":null}""")).ShouldBe("x");
    }

    [Theory]
    [InlineData("""[{"type":"function"}]""", "", false)]
    [InlineData("""[{"type":"function"}]""", ""","tool_choice":"auto" """, false)]
    [InlineData("""[{"type":"function"}]""", ""","tool_choice":"none" """, true)]
    [InlineData("[]", "", true)]
    [InlineData("null", "", true)]
    public void Tools_that_the_model_would_not_see_are_refused(string tools, string choice, bool isServed)
    {
        var (reader, _) = Load("{{ messages[0].content }}");
        reader.ShowsTools.ShouldBeFalse();
        var body = $$"""{"messages":[{"role":"user","content":"x"}],"tools":{{tools}}{{choice}}}""";

        if (isServed) Chat(reader, body).Count.ShouldBe(1);
        else Refused(() => Chat(reader, body)).Param.ShouldBe("tools");
    }

    [Fact]
    public void Tools_are_shown_by_a_template_that_knows_them_and_hidden_where_none_may_be_called()
    {
        var (reader, tokenizer) = Load("{% if tools is not none %}{{ tools[0].a }}{% endif %}{{ messages[0].content }}");
        reader.ShowsTools.ShouldBeTrue();

        tokenizer.Decode(Chat(reader, """{"messages":[{"role":"user","content":"x"}],"tools":[{"a":"t"}]}""")).ShouldBe("tx");
        tokenizer.Decode(Chat(reader, """{"messages":[{"role":"user","content":"x"}],"tools":[{"a":"t"}],"tool_choice":"none"}""")).ShouldBe("x");
        tokenizer.Decode(Chat(reader, """{"messages":[{"role":"user","content":"x"}],"tools":[]}""")).ShouldBe("x");
    }

    [Theory]
    [InlineData("""{"prompt":[]}""")]
    [InlineData("""{"prompt":[[]]}""")]
    [InlineData("""{"prompt":[1.5]}""")]
    [InlineData("""{"prompt":[-1]}""")]
    [InlineData("""{"prompt":[1e400]}""")]
    [InlineData("""{"prompt":[99999999999999999999]}""")]
    [InlineData("""{"prompt":[1,"a"]}""")]
    [InlineData("""{"prompt":["a",3]}""")]
    public void A_fault_of_a_prompt_names_the_prompt(string body)
    {
        var (reader, _) = Load("{{ messages[0].content }}");

        Refused(() => Prompts(reader, body)).Param.ShouldBe("prompt");
    }

    [Fact]
    public void A_whole_number_may_be_written_as_a_float()
    {
        var (reader, _) = Load("{{ messages[0].content }}");

        Prompts(reader, """{"prompt":[64.0,1e1]}""")[0].ShouldBe([64, 10]);
        OpenAiBody.Parse(EndpointName.Completions, """{"prompt":"x","logprobs":5.0,"top_k":40.0}"""u8.ToArray()).TopLogProbs.ShouldBe(5);
        OpenAiBody.Parse(EndpointName.ChatCompletions, """{"messages":[],"logprobs":true,"top_logprobs":2.0}"""u8.ToArray()).TopLogProbs.ShouldBe(2);
    }

    [Theory]
    [InlineData("""{"prompt":"x","logit_bias":{"hello":1}}""")]
    [InlineData("""{"prompt":"x","logit_bias":{"1":101}}""")]
    [InlineData("""{"prompt":"x","logit_bias":{"1":"a"}}""")]
    [InlineData("""{"prompt":"x","logit_bias":{"260":1}}""")]
    public void A_bias_that_cannot_be_honoured_is_refused(string body)
    {
        var (reader, _) = Load("{{ messages[0].content }}");

        Refused(() => Prompts(reader, body)).Param.ShouldBe("logit_bias");
    }

    private static List<int> Chat(PromptReader reader, string body) => [.. Prompts(reader, body, EndpointName.ChatCompletions)[0]];

    private static IReadOnlyList<IReadOnlyList<int>> Prompts(PromptReader reader, string body, EndpointName? kind = null) =>
        reader.Encode(OpenAiBody.Parse(kind ?? EndpointName.Completions, Encoding.UTF8.GetBytes(body)), At);

    private static ServingFault Refused(Action action)
    {
        var fault = Should.Throw<ServingException>(action).Fault;
        fault.Error.ShouldBe(ServingError.InvalidRequest);
        return fault;
    }

    private (PromptReader Reader, Tokenizer Tokenizer) Load(string template, bool addBegin = false)
    {
        var tokens = TinyModel.Tokens();
        (tokens[Begin], tokens[End]) = ("<s>", "</s>");
        var types = Enumerable.Repeat(1, tokens.Length).ToArray();
        (types[256], types[Begin], types[End]) = (3, 3, 3);
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        File.WriteAllBytes(path, TinyModel.Build(new Dictionary<string, object?>
        {
            ["tokenizer.ggml.tokens"] = tokens,
            ["tokenizer.ggml.token_type"] = types,
            ["tokenizer.ggml.merges"] = new[] { "i n" },
            ["tokenizer.ggml.bos_token_id"] = (uint)Begin,
            ["tokenizer.ggml.eos_token_id"] = (uint)End,
            ["tokenizer.ggml.add_bos_token"] = addBegin,
        }).File);
        using var file = GgufFile.Open(path);
        var tokenizer = Tokenizer.Load(file);
        return (PromptReader.Load(tokenizer, template), tokenizer);
    }
}
