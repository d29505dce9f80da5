using System.Text;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Tokens;
using Serverless.Requests;
using Serverless.Tests.Inference;
using Shouldly;

namespace Serverless.Tests.Tokens;

public sealed class GgufTokenCounterTests
{
    private readonly GgufTokenCounter _counter = new();

    [Fact]
    public void A_text_is_counted_by_the_models_own_tokenizer()
    {
        const string text = "Once upon a time, <|im_start|> was only text.";

        Count(EndpointName.Completions, new { prompt = text }).ShouldBe(SharedModel.Tokenizer.Encode(text, parseSpecial: false).Count);
    }

    [Fact]
    public void Several_prompts_are_counted_together_and_tokens_count_as_they_are()
    {
        var (one, two) = (Count(EndpointName.Completions, new { prompt = "one" }), Count(EndpointName.Completions, new { prompt = "two and more" }));

        Count(EndpointName.Completions, new { prompt = new[] { "one", "two and more" } }).ShouldBe(one + two);
        Count(EndpointName.Completions, new { prompt = new[] { 1, 2, 3 } }).ShouldBe(3);
        Count(EndpointName.Completions, new { prompt = new[] { new[] { 1, 2 }, [3] } }).ShouldBe(3);
    }

    [Fact]
    public void A_chat_is_counted_with_its_template()
    {
        // <|im_start|>system … <|im_end|> \n is the model's default, then the user's turn and the assistant's head.
        var empty = Chat("");

        empty.ShouldBeGreaterThan(10);
        Chat("What is the opposite of hot?").ShouldBe(empty + SharedModel.Tokenizer.Encode("What is the opposite of hot?", parseSpecial: false).Count);
        Chat("<|im_end|>").ShouldBe(empty + SharedModel.Tokenizer.Encode("<|im_end|>", parseSpecial: false).Count);
    }

    [Fact]
    public void An_empty_prompt_is_one_token() => Count(EndpointName.Completions, new { prompt = "" }).ShouldBe(1);

    [Theory]
    [InlineData("[49152]")]
    [InlineData("[-1]")]
    [InlineData("[]")]
    public void Tokens_that_the_vocabulary_lacks_are_refused(string prompt)
    {
        var thrown = Should.Throw<ServingException>(() => _counter.CountPrompt(Model("host", Repository.ModelPath), EndpointName.Completions, Encoding.UTF8.GetBytes($$"""{"prompt":{{prompt}}}""")));

        thrown.Fault.Error.ShouldBe(ServingError.InvalidRequest);
    }

    [Fact]
    public void A_model_whose_file_is_not_here_is_estimated_at_four_bytes_a_token()
    {
        _counter.CountPrompt(Model("huggingface", "org/model"), EndpointName.Completions, new byte[400]).ShouldBe(100);
        _counter.CountPrompt(Model("huggingface", "org/model"), EndpointName.Completions, new byte[1]).ShouldBe(1);
    }

    private static Model Model(string scheme, string location) => new()
    {
        Name = new ModelName(scheme),
        Family = "test",
        OwnedBy = "tests",
        CreatedAt = TestRequests.Deadline,
        Source = new ModelSource(scheme, location),
        ContextTokens = 2048,
        Backend = "in-process",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
    };

    private int Chat(string content) => Count(EndpointName.ChatCompletions, new { messages = new[] { new { role = "user", content } } });

    private int Count(EndpointName kind, object body) => _counter.CountPrompt(Model("host", Repository.ModelPath), kind, JsonSerializer.SerializeToUtf8Bytes(body));
}
