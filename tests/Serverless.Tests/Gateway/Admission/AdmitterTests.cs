using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Admission;

/// <summary>What a call is checked for beyond its form: sizes, lanes, what replicas hold.</summary>
public sealed class AdmitterTests
{
    private static readonly Owner Owner = new("acme", "t", "k");

    private readonly Counter _tokens = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("completions", "prompt", 1000)]
    [InlineData("chat/completions", "messages", 1000)]
    public async Task A_prompt_that_cannot_fit_by_its_bytes_is_refused_before_the_tokenizer_sees_it(string endpoint, string field, int context)
    {
        var text = new string('a', 256 * context);

        var fault = await RefuseAsync(endpoint, endpoint == "completions" ? $"\"prompt\":\"{text}\"" : Messages(text), context);

        fault.Error.ShouldBe(ServingError.ContextTooLong);
        fault.Param.ShouldBe(field);
        fault.Message.ShouldBe($"The prompt is {256 * context} bytes of text, so at least {context} tokens: the context of 'm' is {context} tokens. Shorten the prompt to at most {context - 1}.");
        _tokens.Counted.ShouldBe(0);
    }

    [Fact]
    public async Task Escapes_are_not_taken_for_more_text_than_they_are()
    {
        await AdmitAsync("completions", $"\"prompt\":\"{string.Concat(Enumerable.Repeat("\\u0041", 200_000))}\"", context: 1000);

        _tokens.Counted.ShouldBe(1);
    }

    [Fact]
    public async Task A_prompt_of_token_ids_is_as_long_as_it_says()
    {
        var fault = await RefuseAsync("completions", $"\"prompt\":[[1,2],[{string.Join(',', Enumerable.Repeat("7", 100))}]]", context: 100);

        fault.Message.ShouldStartWith("The prompt is 100 tokens: the context");
        fault.Param.ShouldBe("prompt");
        _tokens.Counted.ShouldBe(0);
    }

    [Fact]
    public async Task Prompts_that_fit_the_context_each_but_no_replica_together_are_refused_at_the_door()
    {
        var prompts = $"\"prompt\":[\"{new string('a', 300)}\",\"{new string('b', 300)}\",\"{new string('c', 400)}\"]";

        (await AdmitAsync("completions", prompts, context: 500, kvTokens: 1001)).Request.PromptTokens.ShouldBe(1000);
        var fault = await RefuseAsync("completions", prompts, context: 500, kvTokens: 1000);

        fault.Error.ShouldBe(ServingError.ContextTooLong);
        fault.Param.ShouldBe("prompt");
        fault.Message.ShouldContain("The 3 prompts are together 1000 tokens; the largest replica of 'm' holds 1000");
        (await RefuseAsync("chat/completions", Messages(new string('a', 400)), context: 500, kvTokens: 400)).Message.ShouldContain("The prompt is 400 tokens; the largest replica");
    }

    [Theory]
    [InlineData("\"n\":128,\"logprobs\":true,\"top_logprobs\":20", "max_tokens", "give a 'max_tokens' of at most 744")]
    [InlineData("\"n\":128,\"logprobs\":true,\"top_logprobs\":20,\"max_tokens\":8000", "top_logprobs", "lower 'top_logprobs', 'n' or 'max_tokens'")]
    [InlineData("\"n\":128,\"logprobs\":true,\"max_tokens\":9000", "n", "lower 'n' or 'max_tokens'")]
    public async Task Output_that_would_fill_the_log_is_refused_and_the_field_to_lower_is_named(string fields, string param, string advice)
    {
        var fault = await RefuseAsync("chat/completions", $"{fields},{Messages("hi")}", context: 10_000);

        fault.Error.ShouldBe(ServingError.InvalidRequest);
        fault.Param.ShouldBe(param);
        fault.Message.ShouldContain("the limit is 67108864");
        fault.Message.ShouldEndWith(advice + ".");
    }

    [Fact]
    public async Task Output_within_the_limit_is_taken() =>
        (await AdmitAsync("chat/completions", $"\"n\":128,\"max_tokens\":9000,{Messages("hi")}", context: 10_000)).Request.MaxOutputTokens.ShouldBe(9000);

    [Theory]
    [InlineData("priority", Lane.Realtime, Lane.Realtime, "priority")]
    [InlineData("fast", Lane.Realtime, Lane.Realtime, "priority")]
    [InlineData("priority", Lane.Interactive, null, null)]
    [InlineData("fast", Lane.Batch, null, null)]
    [InlineData("default", Lane.Interactive, Lane.Interactive, "default")]
    [InlineData("scale", Lane.Realtime, Lane.Interactive, "default")]
    [InlineData("default", Lane.Batch, null, null)]
    [InlineData("flex", Lane.Realtime, Lane.Batch, "flex")]
    [InlineData("flex", Lane.Batch, Lane.Batch, "flex")]
    [InlineData("auto", Lane.Realtime, Lane.Interactive, "default")]
    [InlineData("auto", Lane.Batch, Lane.Batch, "flex")]
    [InlineData(null, Lane.Interactive, Lane.Interactive, "default")]
    [InlineData(null, Lane.Batch, Lane.Batch, "flex")]
    public async Task The_highest_lane_is_a_right_of_the_key(string? tier, Lane highest, Lane? lane, string? served)
    {
        var body = $"\"service_tier\":{JsonSerializer.Serialize(tier)},{Messages("hi")}";
        if (lane is null)
        {
            var fault = await RefuseAsync("chat/completions", body, highest: highest);
            fault.Error.ShouldBe(ServingError.NotPermitted);
            fault.Param.ShouldBe("service_tier");
            fault.Message.ShouldContain($"the highest lane of this key is {highest.Name()}");
            fault.Message.ShouldContain("'lane=");
            return;
        }

        var admitted = await AdmitAsync("chat/completions", body, highest: highest);
        admitted.Request.Lane.ShouldBe(lane.Value);
        admitted.Shape.ServiceTier.ShouldBe(served);
    }

    [Fact]
    public async Task Each_prompt_must_fit_the_context_by_itself_and_the_bound_is_told_to_the_counter()
    {
        var fault = await RefuseAsync("completions", $"\"max_tokens\":5,\"prompt\":[\"a\",\"{new string('b', 500)}\"]", context: 500);

        fault.Message.ShouldStartWith("The prompt is at least 500 tokens and leaves no room for 5 tokens of output: the context of 'm' is 500 tokens.");
        (await AdmitAsync("completions", $"\"prompt\":[\"{new string('a', 400)}\",\"{new string('b', 499)}\"]", context: 500)).Request.MaxOutputTokens.ShouldBe(1);
    }

    [Fact]
    public async Task A_padded_body_goes_down_without_its_padding()
    {
        var admitted = await AdmitAsync("chat/completions", new string(' ', 1_000_000) + Messages("a  b"));

        Encoding.UTF8.GetString(admitted.Request.Body.Span).ShouldBe($"{{\"model\":\"m\",{Messages("a  b")}}}");
    }

    [Fact]
    public async Task Large_bodies_are_read_in_turn_and_small_ones_pass_them()
    {
        var turns = Math.Max(1, Environment.ProcessorCount / 2);
        using var release = new SemaphoreSlim(0);
        _tokens.Hold = release;
        var admitter = Admitter(100_000, null);
        var large = Enumerable.Range(0, turns + 1).Select(_ => Task.Run(() => admitter.AdmitAsync(CallOf("completions", $"\"prompt\":\"{new string('a', 70_000)}\"", Lane.Interactive), Token).AsTask(), Token)).ToList();
        for (var i = 0; i < turns; i++) await _tokens.Began.WaitAsync(Token).WithinLimitAsync();

        _tokens.Hold = null;
        (await admitter.AdmitAsync(CallOf("completions", "\"prompt\":\"a\"", Lane.Interactive), Token)).Request.PromptTokens.ShouldBe(1);
        _tokens.Large.ShouldBe(turns);

        release.Release(turns);
        await Task.WhenAll(large).WithinLimitAsync();
        _tokens.Large.ShouldBe(turns + 1);
    }

    private static string Messages(string text) => $"\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]";

    private static Call CallOf(string endpoint, string fields, Lane highest) => new()
    {
        Id = RequestId.New("test-"),
        Endpoint = new EndpointName(endpoint),
        Owner = Owner,
        Body = Encoding.UTF8.GetBytes($"{{\"model\":\"m\",{fields}}}"),
        HighestLane = highest,
    };

    private async Task<ServingFault> RefuseAsync(string endpoint, string fields, int context = 1000, int? kvTokens = null, Lane highest = Lane.Interactive) =>
        (await Should.ThrowAsync<ServingException>(() => AdmitAsync(endpoint, fields, context, kvTokens, highest))).Fault;

    private async Task<Admitted> AdmitAsync(string endpoint, string fields, int context = 1000, int? kvTokens = null, Lane highest = Lane.Interactive)
    {
        await using var admitter = Admitter(context, kvTokens);
        return await admitter.AdmitAsync(CallOf(endpoint, fields, highest), Token);
    }

    private Admitter Admitter(int context, int? kvTokens)
    {
        var model = new Model
        {
            Name = new ModelName("m"),
            Family = "test",
            Source = new ModelSource("simulated", "m"),
            ContextTokens = context,
            Backend = "simulated",
            Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu", Params = kvTokens is null ? new Dictionary<string, string>() : new Dictionary<string, string> { ["kvTokens"] = $"{kvTokens}" } }],
        };
        return new Admitter(new FixedCatalog(new ModelCatalog([model])), TestEngines.Table, _tokens, Options.Create(new AdmissionOptions()), new TestClock());
    }

    private sealed class FixedCatalog(ModelCatalog catalog) : ICatalogSource
    {
        public ModelCatalog Current => catalog;
    }

    /// <summary>A token for each letter of the longest text; may be held while it counts a large body.</summary>
    private sealed class Counter : ITokenCounter
    {
        private int _counted;
        private int _large;

        public int Counted => _counted;

        public int Large => _large;

        public SemaphoreSlim? Hold { get; set; }

        public SemaphoreSlim Began { get; } = new(0);

        public int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body) => CountPrompt(model, kind, body, int.MaxValue).Tokens;

        public PromptCount CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body, int limit, bool wantBlocks = false, DateTimeOffset at = default)
        {
            Interlocked.Increment(ref _counted);
            if (body.Length > 65_536)
            {
                Interlocked.Increment(ref _large);
                Began.Release();
                Hold?.Wait(Token);
                return new PromptCount(10, 10, false);
            }

            using var json = JsonDocument.Parse(body);
            var root = json.RootElement;
            if (!root.TryGetProperty("prompt", out var prompt)) prompt = root.GetProperty("messages")[0].GetProperty("content");
            int[] lengths = prompt.ValueKind == JsonValueKind.Array ? [.. prompt.EnumerateArray().Select(text => text.GetString()!.Length)] : [prompt.GetString()!.Length];
            return new PromptCount(lengths.Sum(), lengths.Max(), lengths.Max() > limit);
        }
    }
}
