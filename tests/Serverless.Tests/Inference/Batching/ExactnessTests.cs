using Serverless.Inference.Batching;
using Serverless.Inference.Kernels;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Inference.Batching;

/// <summary>
/// The same bits whatever runs beside a sequence, over several pages, in any chunks, on any threads and kernels, in caches so small that sequences give way, and gone on with
/// after any token. Random mixes on a tiny model; a few long ones on the shipped one.
/// </summary>
public sealed class ExactnessTests(ITestOutputHelper output) : IDisposable
{
    private const int Context = 1024;
    private const int Vocabulary = 260;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-exact");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Random_mixes_of_requests_give_what_each_gives_alone()
    {
        using var model = Tiny();
        var (mixes, first) = (Fuzz.Number("FUZZ_RUNS", 60) / 4, Fuzz.Number("FUZZ_SEED", 12));
        var (preempted, cached) = (0, 0L);
        for (var seed = first; seed < first + mixes; seed++)
        {
            var random = new Random(seed);
            var requests = Mix(random);
            var options = new InferenceEngineOptions
            {
                Threads = random.Next(1, 4),
                PrefillChunk = random.Next(1, 200),
                MaxSequences = random.Next(1, 9),
                KvTokens = KeyValuePage.Tokens * random.Next(Context / KeyValuePage.Tokens, 64),
                KvFormat = random.Next(3) == 0 ? KeyValueFormat.Q8 : KeyValueFormat.F16,
                Kernels = KernelSet.Available[random.Next(KernelSet.Available.Count)].Name,
            };
            var alone = new string[requests.Length];
            for (var i = 0; i < requests.Length; i++) alone[i] = (await GenerateAsync(model, new InferenceEngineOptions { Threads = 1, KvTokens = Context, KvFormat = options.KvFormat, MaxSequences = 1 }, [requests[i]])).Steps[0];

            // All at once, once more over what is left in the cache, and then each from where it might have been cut off.
            await using var engine = new InferenceEngine(model, options, TimeProvider.System);
            for (var round = 0; round < 2; round++)
            {
                var crowd = await GenerateAsync(engine, requests);
                for (var i = 0; i < requests.Length; i++) crowd.Steps[i].ShouldBe(alone[i], $"request {i} of mix {seed}, round {round}: {options}");
                cached += crowd.Cached;
            }

            var resumed = requests.Select((request, i) => Resumed(request, alone[i], random)).ToArray();
            var rest = await GenerateAsync(engine, [.. resumed.Select(part => part.Request)]);
            for (var i = 0; i < requests.Length; i++) rest.Steps[i].ShouldBe(resumed[i].After, $"request {i} of mix {seed}, gone on with after {resumed[i].Request.Emitted.Count}: {options}");
            preempted += engine.Preemptions;
        }

        output.WriteLine($"{mixes} mixes from seed {first}; {preempted} sequences gave way, {cached} tokens of prompts were cached");
        preempted.ShouldBeGreaterThan(0);
        cached.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task A_sequence_that_gives_way_goes_on_where_it_was()
    {
        using var model = Tiny();
        GenerationRequest[] requests = [.. Enumerable.Range(0, 4).Select(i => Request(new Random(i)) with { Prompt = [i, i + 1, i + 2], Emitted = [], MaxTokens = 120 })];
        var roomy = await GenerateAsync(model, new InferenceEngineOptions { Threads = 2, KvTokens = 4096, MaxSequences = 4 }, requests);

        // Six pages: three are let in with one each, and each comes to need four.
        var tight = await GenerateAsync(model, new InferenceEngineOptions { Threads = 2, KvTokens = 6 * KeyValuePage.Tokens, MaxSequences = 4 }, requests);

        roomy.Preempted.ShouldBe(0);
        tight.Preempted.ShouldBeGreaterThan(0);
        tight.Steps.ShouldBe(roomy.Steps);
    }

    /// <summary>What a model said of its own tokens it says of them in a prompt, whatever is cached.</summary>
    [Fact]
    public async Task A_prompts_probabilities_are_the_bits_that_were_given_when_it_was_written()
    {
        using var model = Tiny();
        await using var engine = new InferenceEngine(model, new InferenceEngineOptions { Threads = 2, KvTokens = 2048, PrefillChunk = 50 }, TimeProvider.System);
        var request = Request(new Random(4)) with { Prompt = [1, 2, 3], MaxTokens = 120, Sampling = new SamplingOptions() };
        var written = await engine.GenerateAsync(request, Token).ToListAsync(Token);

        var read = await Task.WhenAll(Enumerable.Range(0, 3).Select(async _ =>
            await engine.GenerateAsync(request with { Prompt = [1, 2, 3, .. written.Select(step => step.Token)], MaxTokens = 2, PromptLogProbs = 2 }, Token).ToListAsync(Token)));

        foreach (var steps in read)
        {
            steps[0].Prompt.Count.ShouldBe(123);
            steps[0].Prompt[0].LogProb.ShouldBe(float.NaN);
            steps[1].Prompt.ShouldBeEmpty();
            for (var i = 0; i < written.Count; i++)
            {
                var scored = steps[0].Prompt[3 + i];
                (scored.Token, scored.LogProb).ShouldBe((written[i].Token, written[i].LogProb));
                scored.Top.ShouldBe(written[i].Top);
            }
        }
    }

    [Fact]
    public async Task The_shipped_model_gives_the_same_bits_over_several_pages()
    {
        var prompt = SharedModel.Tokenizer.Encode(string.Concat(Enumerable.Repeat("The lighthouse keeper wrote in his log: ", 9)), parseSpecial: false);
        prompt.Count.ShouldBeGreaterThan(2 * KeyValuePage.Tokens);
        var request = new GenerationRequest { Prompt = prompt, MaxTokens = 40, Seed = 3, TopLogProbs = 2, IgnoreEnd = true, Sampling = new SamplingOptions { Temperature = 0.9, TopP = 0.95 } };
        var whole = await GenerateAsync(SharedModel.Model, new InferenceEngineOptions { Threads = 2, KvTokens = 1024 }, [request]);

        var chunked = await GenerateAsync(SharedModel.Model, new InferenceEngineOptions { Threads = 1, KvTokens = 1024, PrefillChunk = 17 }, [request, request with { Seed = 4 }]);
        var parts = new[] { 1, 19, 33 }.Select(at => Resumed(request, whole.Steps[0], at)).ToArray();
        var rest = await GenerateAsync(SharedModel.Model, new InferenceEngineOptions { Threads = 2, KvTokens = 1024 }, [.. parts.Select(part => part.Request)]);

        chunked.Steps[0].ShouldBe(whole.Steps[0]);
        rest.Steps.ShouldBe(parts.Select(part => part.After));
    }

    /// <summary>Requests of which some begin alike, and some are choices of one.</summary>
    private static GenerationRequest[] Mix(Random random)
    {
        int[] common = [.. Enumerable.Range(0, 600).Select(_ => random.Next(Vocabulary))];
        var requests = new List<GenerationRequest>();
        for (var left = random.Next(1, 9); left > 0; left--)
        {
            var request = Request(random);
            if (random.Next(2) == 0) request = request with { Prompt = [.. common.Take(random.Next(1, common.Length)), .. request.Prompt.Take(random.Next(40))] };
            if (requests.Count > 0 && random.Next(3) == 0) request = request with { Prompt = requests[random.Next(requests.Count)].Prompt };
            requests.Add(request with { Lane = random.Next(3) });
        }

        return [.. requests];
    }

    private static GenerationRequest Request(Random random) => new()
    {
        Prompt = [.. Enumerable.Range(0, random.Next(3) == 0 ? random.Next(1, 800) : random.Next(1, 60)).Select(_ => random.Next(Vocabulary))],
        MaxTokens = random.Next(2, 100),
        Seed = (ulong)random.Next(),
        TopLogProbs = 2,
        IgnoreEnd = true,
        Sampling = random.Next(4) == 0
            ? SamplingOptions.Greedy
            : new SamplingOptions { Temperature = 0.5 + random.NextDouble(), TopP = 1 - (random.NextDouble() / 2), TopK = random.Next(3) * 20, TypicalP = random.Next(3) == 0 ? 0.9 : 1, PresencePenalty = random.Next(2), RepetitionPenalty = 1 + random.Next(2), Dry = new DryOptions { Multiplier = random.Next(2) }, LogitBias = new Dictionary<int, float> { [7] = 1 } },
    };

    private static (GenerationRequest Request, string After) Resumed(GenerationRequest request, string steps, Random random) =>
        Resumed(request, steps, random.Next(steps.Count(character => character == '\n')));

    private static (GenerationRequest Request, string After) Resumed(GenerationRequest request, string steps, int at)
    {
        var lines = steps.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        int[] emitted = [.. lines.Take(at).Select(line => int.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture))];
        return (request with { Emitted = emitted }, string.Concat(lines.Skip(at).Select(line => line + "\n")));
    }

    private static async Task<(string[] Steps, int Preempted)> GenerateAsync(InferenceModel model, InferenceEngineOptions options, GenerationRequest[] requests)
    {
        await using var engine = new InferenceEngine(model, options, TimeProvider.System);
        var (steps, _) = await GenerateAsync(engine, requests);
        return (steps, engine.Preemptions);
    }

    private static async Task<(string[] Steps, long Cached)> GenerateAsync(InferenceEngine engine, GenerationRequest[] requests)
    {
        var cached = 0L;
        var steps = await Task.WhenAll(requests.Select(async request =>
        {
            var text = new System.Text.StringBuilder();
            await foreach (var step in engine.GenerateAsync(request, Token))
            {
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{step.Position} {step.Token} {BitConverter.SingleToInt32Bits(step.LogProb)}");
                foreach (var top in step.Top) text.Append(System.Globalization.CultureInfo.InvariantCulture, $" {top.Token}:{BitConverter.SingleToInt32Bits(top.LogProb)}");
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $" {step.Finish}\n");
                if (step.Finish is not null) Interlocked.Add(ref cached, step.Cached);
            }

            return text.ToString();
        }));
        return (steps, cached);
    }

    private InferenceModel Tiny()
    {
        var path = Path.Combine(_folder.FullName, "tiny.gguf");
        File.WriteAllBytes(path, TinyModel.Build(new Dictionary<string, object?> { ["llama.context_length"] = (uint)Context }).File);
        return InferenceModel.Load(path, null, Token);
    }
}
