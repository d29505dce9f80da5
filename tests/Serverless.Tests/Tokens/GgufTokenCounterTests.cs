using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Models;
using Serverless.Requests;
using Serverless.Tests.Inference;
using Serverless.Tests.Inference.Gguf;
using Serverless.Tests.Inference.Safetensors;
using Shouldly;

namespace Serverless.Tests.Tokens;

public sealed class GgufTokenCounterTests : IDisposable
{
    private const int Megabyte = 1 << 20;

    private static readonly JsonSerializerOptions Raw = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly GgufTokenCounter _counter = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-count");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("completions", """{"model":"m","prompt":"@"}""")]
    [InlineData("completions", """{"model":"m","prompt":["short","@"]}""")]
    [InlineData("chat/completions", """{"messages":[{"role":"system","content":"s"},{"content":"@","role":"user"}],"temperature":1}""")]
    [InlineData("chat/completions", """{"messages":[{"role":"user","content":[{"type":"text","text":"@"}]}]}""")]
    public void A_prompt_far_over_the_limit_is_refused_by_its_bytes(string endpoint, string body)
    {
        var kind = new EndpointName(endpoint);
        var bytes = Encoding.UTF8.GetBytes(body.Replace("@", new string('a', 16 * Megabyte), StringComparison.Ordinal));
        Count(EndpointName.Completions, new { prompt = "x" });
        var before = GC.GetAllocatedBytesForCurrentThread();

        var count = _counter.CountPrompt(Shipped, kind, bytes, limit: 8192, wantBlocks: true);

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(64 * 1024);
        count.IsOverLimit.ShouldBeTrue();
        count.Tokens.ShouldBeGreaterThan(8192);
        count.Blocks.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("completions")]
    [InlineData("chat/completions")]
    public void A_prompt_over_the_limit_is_counted_no_further(string endpoint)
    {
        var kind = new EndpointName(endpoint);
        var bytes = Body(kind, string.Concat(Enumerable.Repeat("word ", 40_000)));
        var exact = _counter.CountPrompt(Shipped, kind, bytes);

        var count = _counter.CountPrompt(Shipped, kind, bytes, limit: 8192);

        (count.IsOverLimit, count.Tokens > 8192, count.Tokens <= exact).ShouldBe((true, true, true), $"{count.Tokens} of {exact}");
        _counter.CountPrompt(Shipped, kind, bytes, exact).ShouldBe(new PromptCount(exact, exact, false));
        _counter.CountPrompt(Shipped, kind, bytes, exact - 1).IsOverLimit.ShouldBeTrue();
    }

    [Fact]
    public void Tokenizers_of_models_that_the_catalogue_has_no_longer_are_let_go()
    {
        var (goes, stays) = (Path.Combine(_folder.FullName, "goes.gguf"), Path.Combine(_folder.FullName, "stays.gguf"));
        foreach (var path in new[] { goes, stays }) File.WriteAllBytes(path, TinyModel.Build().File);
        Model Of(string path) => Shipped with { Name = new ModelName(Path.GetFileNameWithoutExtension(path)), Source = new ModelSource("host", path) };
        var catalog = new TestCatalog(new ModelCatalog([Of(goes), Of(stays)]));
        var counter = new GgufTokenCounter(catalog);
        foreach (var path in new[] { goes, stays }) counter.CountPrompt(Of(path), EndpointName.Completions, """{"prompt":"x"}"""u8.ToArray());
        counter.Kept.Count.ShouldBe(2);

        catalog.Current = new ModelCatalog([Of(stays)]);
        counter.CountPrompt(Of(stays), EndpointName.Completions, """{"prompt":"x"}"""u8.ToArray());

        counter.Kept.ShouldBe([stays]);
    }

    [Fact]
    public void A_folder_of_transformers_is_counted_by_its_own_tokenizer_and_template()
    {
        var path = Path.Combine(_folder.FullName, "folder");
        TinyFolder.Save(path);

        var count = _counter.CountPrompt(Model("host", path), EndpointName.ChatCompletions, """{"messages":[{"role":"user","content":"the the"}]}"""u8.ToArray());

        using var model = InferenceModel.Load(path, null, TestContext.Current.CancellationToken);
        count.ShouldBe(model.Tokenizer.Encode("the the", parseSpecial: false).Count);
    }

    [Fact]
    public void What_a_text_is_at_least_is_never_more_than_it_is()
    {
        string[] texts = ["", "a", "\n\t\"", "\ud83d\ude00", "日本語", "<|im_start|>", new string(' ', 500), new string('=', 500), new string('-', 300), "\u0001", "\u0004\u0006\u0004", "\ud800", "\ud8c0\udc00\ud8c0\udc00", "\u007f\u0085"];
        foreach (var text in texts)
        {
            foreach (var kind in new[] { EndpointName.Completions, EndpointName.ChatCompletions })
            {
                var bytes = Body(kind, text);
                var exact = _counter.CountPrompt(Shipped, kind, bytes);
                for (var limit = 0; limit < exact + 2; limit++) _counter.CountPrompt(Shipped, kind, bytes, limit).IsOverLimit.ShouldBe(exact > limit, $"'{text}' of {exact} at {limit}");
            }
        }
    }

    [Fact]
    public void Blocks_are_equal_as_far_as_prompts_are()
    {
        var (one, two) = (Blocks("one two three four five six seven eight nine ten " + new string('x', 500)), Blocks("one two three four five six seven eight nine ten " + new string('x', 400) + " and another end of it that goes on"));

        var common = one.Zip(two).TakeWhile(pair => pair.First == pair.Second).Count();
        common.ShouldBeInRange(1, one.Count - 1);
        one.Skip(common).Intersect(two.Skip(common)).ShouldBeEmpty();
        one.Distinct().Count().ShouldBe(one.Count, "of equal blocks each has another prefix");
        one.ShouldBe(Blocks("one two three four five six seven eight nine ten " + new string('x', 500)));
        Blocks("short").ShouldBeEmpty();
        one[0].ShouldBe(Blocks("one two three four five six seven eight nine ten " + new string('x', 500))[0]);
    }

    [Fact]
    public void A_file_that_comes_late_or_is_replaced_is_read_then()
    {
        var path = Path.Combine(_folder.FullName, "model.gguf");
        var body = Body(EndpointName.ChatCompletions, "x");
        var model = Model("host", path);
        _counter.CountPrompt(model, EndpointName.ChatCompletions, body).ShouldBe(body.Length / 4, "no file: an estimate");

        File.WriteAllBytes(path, TinyModel.Build().File);
        _counter.CountPrompt(model, EndpointName.ChatCompletions, body).ShouldBe(1);

        Replace(path, "{{ messages[0].content }}{{ messages[0].content }}", minutes: 1);
        _counter.CountPrompt(model, EndpointName.ChatCompletions, body).ShouldBe(2);

        File.Delete(path);
        _counter.CountPrompt(model, EndpointName.ChatCompletions, body).ShouldBe(2, "what was read of it is known");

        Replace(path, "{{ messages[0].content", minutes: 2);
        _counter.CountPrompt(model, EndpointName.ChatCompletions, body).ShouldBe(body.Length / 4, "a template that is none");

        Replace(path, "{{ messages[0].content }}", minutes: 3);
        _counter.CountPrompt(model with { Name = new ModelName("another") }, EndpointName.ChatCompletions, body).ShouldBe(1);
    }

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

    private static void Replace(string path, string template, int minutes)
    {
        File.WriteAllBytes(path, TinyModel.Build(new Dictionary<string, object?> { ["tokenizer.chat_template"] = template }).File);
        File.SetLastWriteTimeUtc(path, new DateTime(2026, 11, 29, 12, minutes, 0, DateTimeKind.Utc));
    }

    private static byte[] Body(EndpointName kind, string text) => kind == EndpointName.Completions
        ? JsonSerializer.SerializeToUtf8Bytes(new { prompt = text }, Raw)
        : JsonSerializer.SerializeToUtf8Bytes(new { messages = new[] { new { role = "user", content = text } } }, Raw);

    private static Model Shipped => Model("host", Repository.ModelPath);

    private IReadOnlyList<ulong> Blocks(string text) => _counter.CountPrompt(Shipped, EndpointName.Completions, Body(EndpointName.Completions, text), 8192, wantBlocks: true).Blocks;

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
