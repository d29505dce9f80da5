using System.Text.Json;
using Serverless.Engines;
using Serverless.Hosting.Engines.InProcess;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Requests;
using Serverless.Tests.Inference;
using Shouldly;

namespace Serverless.Tests.Worker;

/// <summary>The engine of this process behind the worker's port, on the shipped model.</summary>
public sealed class InProcessEngineTests : IAsyncDisposable
{
    private const int Cap = 12;

    private readonly InferenceEngine _inference;
    private readonly InProcessEngine _engine;

    public InProcessEngineTests()
    {
        var options = new InferenceEngineOptions { Threads = 2, KvTokens = 4096 };
        _inference = new InferenceEngine(SharedModel.Model, options, TimeProvider.System);
        _engine = new InProcessEngine(SharedModel.Model, _inference, options, PromptReader.Load(SharedModel.Tokenizer, SharedModel.Model.ChatTemplate));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    // Not the port's own disposal: that would take the shared model with it.
    public ValueTask DisposeAsync() => _inference.DisposeAsync();

    [Fact]
    public async Task A_request_continues_exactly_from_what_is_logged_of_each_choice()
    {
        var request = Completion(new { prompt = new[] { "Once upon a time", "def f(x):" }, n = 2, temperature = 0.9, logprobs = 2, ignore_eos = true }, choices: 4);
        var whole = await GenerateAsync(request, []);
        whole[^1].Usage.ShouldNotBeNull().CompletionTokens.ShouldBe(4 * Cap);

        foreach (var split in new[] { 1, 7, 20, whole.Count - 2 })
        {
            ChoiceChunk[] logged = [.. whole.Take(split).Select(output => output.Chunk).OfType<ChoiceChunk>()];
            var rest = await GenerateAsync(request, logged);

            for (var choice = 0; choice < 4; choice++)
            {
                Choice([.. logged, .. rest.Select(output => output.Chunk).OfType<ChoiceChunk>()], choice).ShouldBe(Choice(whole.Select(output => output.Chunk).OfType<ChoiceChunk>(), choice), $"choice {choice} after {split}");
            }

            (rest[^1].Usage! with { CachedTokens = 0 }).ShouldBe(whole[^1].Usage);
        }
    }

    /// <summary>Another engine wrote the first part, and said no more than its text: the rest is the same, and positions go on from those that are logged.</summary>
    [Fact]
    public async Task A_request_goes_on_from_text_that_another_engine_wrote()
    {
        var request = Completion(new { prompt = "Once upon a time", temperature = 0, ignore_eos = true }, choices: 1);
        var whole = Chunks(await GenerateAsync(request, [])).ToList();
        var text = string.Concat(whole.Take(5).Select(chunk => chunk.Text));
        ChoiceChunk[] logged = [new(0, 0, [ChoiceChunk.UnknownToken, ChoiceChunk.UnknownToken, ChoiceChunk.UnknownToken], text)]; // it counts otherwise

        var rest = await GenerateAsync(request, logged);

        (text + string.Concat(Chunks(rest).Select(chunk => chunk.Text))).ShouldStartWith(string.Concat(whole.Select(chunk => chunk.Text)));
        Chunks(rest).Select(chunk => chunk.Position).ShouldBe(Enumerable.Range(3, Cap - 3));
        rest[^1].Usage.ShouldNotBeNull().CompletionTokens.ShouldBe(Cap);
    }

    /// <summary>Its slots are given to others: an answer that is broken off, as one that grew too long, must not go on in the engine.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_request_that_nobody_reads_any_more_stops(int choices)
    {
        var left = Completion(new { prompt = "Once upon a time", n = choices, ignore_eos = true }, choices) with { MaxOutputTokens = 1500 };
        await using (var reading = _engine.GenerateAsync(left, [], CancellationToken.None).GetAsyncEnumerator(CancellationToken.None)) await reading.MoveNextAsync();

        var running = new List<int>();
        await foreach (var _ in _engine.GenerateAsync(Completion(new { prompt = "def f(x):", ignore_eos = true }, choices: 1), [], Token)) running.Add(_inference.Load.Running);

        running.Skip(2).Max().ShouldBe(1, "the first may have been told of the pass before");
    }

    [Fact]
    public async Task Choices_of_one_prompt_differ_and_a_request_is_the_same_each_time()
    {
        var request = Completion(new { prompt = "The capital of France is", n = 2, temperature = 1.0, ignore_eos = true }, choices: 2);

        var (first, second) = (await GenerateAsync(request, []), await GenerateAsync(request, []));

        foreach (var choice in new[] { 0, 1 }) Choice(Chunks(first), choice).ShouldBe(Choice(Chunks(second), choice));
        Choice(Chunks(first), 0).ShouldNotBe(Choice(Chunks(first), 1));
    }

    [Fact]
    public async Task What_the_cache_supplied_of_a_prompt_is_told_once_however_many_choices_share_it()
    {
        var request = Completion(new { prompt = string.Concat(Enumerable.Repeat("All work and no play makes Jack a dull boy. ", 10)), n = 3, ignore_eos = true }, choices: 3);

        var first = (await GenerateAsync(request, []))[^1].Usage.ShouldNotBeNull();
        var second = (await GenerateAsync(request, []))[^1].Usage.ShouldNotBeNull();

        first.CachedTokens.ShouldBe(0, "what choices share of each other is no cached prompt");
        second.CachedTokens.ShouldBe(first.PromptTokens - 1, "its last token is run");
    }

    [Fact]
    public async Task The_first_chunk_has_the_prompts_log_probabilities_and_one_that_goes_on_has_none()
    {
        var request = Completion(new { prompt = "The capital of France is Paris", echo = true, logprobs = 2, ignore_eos = true }, choices: 1);

        var chunks = Chunks(await GenerateAsync(request, [])).ToList();
        var rest = Chunks(await GenerateAsync(request, [chunks[0]])).ToList();

        var prompt = SharedModel.Tokenizer.Encode("The capital of France is Paris", parseSpecial: false);
        chunks[0].LogProbs.Select(token => token.TokenId).ShouldBe([.. prompt, chunks[0].TokenIds[0]]);
        chunks[0].LogProbs[0].LogProb.ShouldBe(float.NaN);
        chunks[0].LogProbs[^2].Top[0].TokenId.ShouldBe(prompt[^1], "Paris is what it thinks of");
        chunks.Skip(1).Concat(rest).ShouldAllBe(chunk => chunk.LogProbs.Count == 1);
    }

    [Fact]
    public async Task A_cancelled_request_stops_all_its_choices()
    {
        var request = Completion(new { prompt = "Once", n = 3, ignore_eos = true }, choices: 3) with { MaxOutputTokens = 2000 };
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using (var outputs = _engine.GenerateAsync(request, [], cancel.Token).Enumerate(cancel.Token))
        {
            (await outputs.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            await cancel.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(async () =>
            {
                while (await outputs.MoveNextAsync())
                {
                }
            });
        }

        // Two passes of another request later nothing of it is left.
        await GenerateAsync(Completion(new { prompt = "Hi", ignore_eos = true }, choices: 1) with { MaxOutputTokens = 3 }, []);
        _engine.Load.Running.ShouldBeLessThanOrEqualTo(1);
        _engine.Load.KvUsedTokens.ShouldBeLessThanOrEqualTo(64);
    }

    private static InferenceRequest Completion(object body, int choices) => TestRequests.New() with
    {
        Endpoint = EndpointName.Completions,
        Body = JsonSerializer.SerializeToUtf8Bytes(body),
        MaxOutputTokens = Cap,
        Choices = choices,
        Seed = 7,
    };

    private static IEnumerable<ChoiceChunk> Chunks(IEnumerable<EngineOutput> outputs) => outputs.Select(output => output.Chunk).OfType<ChoiceChunk>();

    private static string Choice(IEnumerable<ChoiceChunk> chunks, int choice) => string.Join('\n', chunks.Where(chunk => chunk.Choice == choice)
        .Select(chunk => $"{chunk.Position} {string.Join(',', chunk.TokenIds)} '{chunk.Text}' {string.Join(',', chunk.LogProbs.Select(token => BitConverter.SingleToInt32Bits(token.LogProb)))} {chunk.Finish}"));

    private async Task<List<EngineOutput>> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var next in _engine.GenerateAsync(request, output, Token)) outputs.Add(next);
        return outputs;
    }
}
