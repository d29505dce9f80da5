using Serverless.Inference.Batching;
using Serverless.Inference.Kernels;
using Serverless.Inference.Sampling;
using Shouldly;

namespace Serverless.Tests.Inference.Batching;

public sealed class InferenceEngineTests
{
    private const int Length = 24;

    private static readonly string[] Prompts =
    [
        "The capital of France is", "Once upon a time there was a", "def fibonacci(n):", "Water boils at", "1, 2, 3, 4,", "The quick brown fox", "Dear Sir or Madam,", "In 1969",
        "The opposite of hot is", "To be or not to be", "A list of fruit:", "The moon", "SELECT name FROM", "Roses are red", "My favourite book is about", "He opened the door and",
    ];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_gives_the_same_bits_alone_beside_others_in_any_chunking_and_on_any_threads()
    {
        var alone = await GenerateAsync(Options(threads: 2, chunk: 256), [Request(0)]);

        var crowd = await GenerateAsync(Options(threads: 2, chunk: 256), [.. Enumerable.Range(0, 16).Select(Request)]);
        var chunked = await GenerateAsync(Options(threads: 1, chunk: 3), [Request(0), Request(1)]);

        crowd[0].ShouldBe(alone[0]);
        chunked[0].ShouldBe(alone[0]);
        chunked[1].ShouldBe(crowd[1]);
    }

    [Fact]
    public async Task A_request_continued_at_any_token_gives_the_same_bits()
    {
        var whole = (await GenerateAsync(Options(2, 64), [Request(1)]))[0];

        GenerationRequest[] rests = [.. Enumerable.Range(1, Length - 1).Select(split => Request(1) with { Emitted = [.. whole.Take(split).Select(step => step.Token)] })];
        var continued = await GenerateAsync(Options(2, 64), rests);

        for (var split = 1; split < Length; split++) continued[split - 1].ShouldBe(whole[split..], $"continued after {split} tokens");
    }

    [Fact]
    public async Task Every_set_of_kernels_gives_the_same_bits()
    {
        var request = Request(0) with { MaxTokens = 6 };
        var reference = (await GenerateAsync(Options(2, 64), [request]))[0];

        foreach (var set in KernelSet.Available) (await GenerateAsync(Options(2, 64) with { Kernels = set.Name }, [request]))[0].ShouldBe(reference, set.Name);
    }

    /// <summary>The door lets in what is shorter than the cache, whose tokens need not be whole pages.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(95)]
    public async Task A_prompt_that_is_a_token_shorter_than_the_cache_is_answered(int tokens)
    {
        var options = Options(1, 64) with { KvTokens = tokens };

        var steps = (await GenerateAsync(options, [new GenerationRequest { Prompt = [.. Enumerable.Range(100, tokens - 1)], MaxTokens = 5, IgnoreEnd = true }]))[0];

        steps.ShouldHaveSingleItem().Finish.ShouldBe(GenerationFinish.Length);
    }

    [Fact]
    public async Task Cancelled_requests_give_back_their_slots_and_their_cache()
    {
        await using var engine = new InferenceEngine(SharedModel.Model, Options(2, 64), TimeProvider.System);
        using var cancel = new CancellationTokenSource();
        var started = new List<IAsyncEnumerator<GenerationStep>>();
        for (var i = 0; i < 20; i++)
        {
            var steps = engine.GenerateAsync(Request(i % 16) with { MaxTokens = 2000, IgnoreEnd = true }, cancel.Token).Enumerate(Token);
            started.Add(steps);
        }

        (await started[0].MoveNextAsync()).ShouldBeTrue();
        await cancel.CancelAsync();
        foreach (var steps in started) await Should.ThrowAsync<OperationCanceledException>(async () => await DrainAsync(steps));

        // What is published when the second of three ends is of a pass after the first, whose end gave its room back: of all that was cancelled nothing is left.
        for (var i = 0; i < 3; i++) await foreach (var step in engine.GenerateAsync(Request(0) with { MaxTokens = 1 }, Token)) step.Position.ShouldBe(0);
        await engine.DisposeAsync();

        var load = engine.Load;
        (load.Running, load.Waiting, load.KvTokensUsed).ShouldBe((0, 0, 0));
    }

    [Fact]
    public async Task A_stop_string_ends_the_text_before_it_and_shows_no_part_of_it()
    {
        var free = Text((await GenerateAsync(Options(2, 64), [Request(0) with { Sampling = SamplingOptions.Greedy }]))[0]);
        var stop = free[5..9];

        var steps = (await GenerateAsync(Options(2, 64), [Request(0) with { Sampling = SamplingOptions.Greedy, Stop = [stop, "never to be seen"] }]))[0];

        Text(steps).ShouldBe(free[..free.IndexOf(stop, StringComparison.Ordinal)]);
        steps[^1].Finish.ShouldBe(GenerationFinish.Stop);
    }

    [Fact]
    public async Task The_cap_ends_with_length()
    {
        var steps = (await GenerateAsync(Options(2, 64), [Request(3) with { MaxTokens = 3 }]))[0];

        steps.Length.ShouldBe(3);
        steps[^1].Finish.ShouldBe(GenerationFinish.Length);
    }

    [Fact]
    public async Task A_stopped_engine_ends_what_runs_with_its_reason()
    {
        var engine = new InferenceEngine(SharedModel.Model, Options(2, 64), TimeProvider.System);
        var steps = engine.GenerateAsync(Request(0) with { MaxTokens = 2000, IgnoreEnd = true }, Token).Enumerate(Token);
        await steps.MoveNextAsync();

        await engine.DisposeAsync();

        (await Should.ThrowAsync<InvalidOperationException>(async () => await DrainAsync(steps))).Message.ShouldContain("stopped");
    }

    private static string Text(Step[] steps) => string.Concat(steps.Select(step => step.Text));

    private static async Task DrainAsync(IAsyncEnumerator<GenerationStep> steps)
    {
        while (await steps.MoveNextAsync())
        {
        }
    }

    private static InferenceEngineOptions Options(int threads, int chunk) => new() { Threads = threads, PrefillChunk = chunk, KvTokens = 8192, ContextTokens = 4096 };

    /// <summary>Sampled, so that a difference in the last bit can show, with log-probabilities, so that it does.</summary>
    private static GenerationRequest Request(int prompt) => new()
    {
        Prompt = SharedModel.Tokenizer.Encode(Prompts[prompt], parseSpecial: false),
        MaxTokens = Length,
        Sampling = new SamplingOptions { Temperature = 0.8, TopP = 0.95 },
        Seed = 42 + (ulong)prompt,
        TopLogProbs = 2,
        IgnoreEnd = true,
    };

    private static async Task<Step[][]> GenerateAsync(InferenceEngineOptions options, GenerationRequest[] requests)
    {
        await using var engine = new InferenceEngine(SharedModel.Model, options, TimeProvider.System);
        return await Task.WhenAll(requests.Select(async request =>
        {
            List<Step> steps = [];
            await foreach (var step in engine.GenerateAsync(request, Token))
            {
                steps.Add(new Step(step.Position, step.Token, step.Text, step.LogProb, string.Join(' ', step.Top.Select(top => $"{top.Token}:{BitConverter.SingleToInt32Bits(top.LogProb)}")), step.Finish));
            }

            return steps.ToArray();
        }));
    }

    private sealed record Step(int Position, int Token, string Text, float LogProb, string Top, GenerationFinish? Finish);
}
