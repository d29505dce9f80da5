using System.Text.Json;
using Serverless.Inference.Batching;
using Serverless.Inference.Kernels;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;

namespace Serverless.Benchmarks;

/// <summary>The in-process engine on the shipped model, two threads: sampled as OpenAI's clients do against greedy, and the pass against llama-bench, prefill of 512 tokens, decoding of 64.</summary>
internal static class EngineBenchmark
{
    private const int Prompt = 512;
    private const int Generated = 64;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(Rig.Root, "models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
        using var model = InferenceModel.Load(path, null, cancellationToken);
        await SamplingAsync(model, cancellationToken);
        if (await Rig.PathAsync("llama-bench") is not { } llamaBench)
        {
            Console.WriteLine("engine: the rest is skipped, there is no rig with llama-bench; set RIG to its path.");
            return;
        }

        using var pass = new ForwardPass(model, KernelSet.Available[0], 2, Prompt + Generated, Prompt, 16);
        using var pages = new KeyValuePool(model.Config, 16 * 1024);
        await Rounds.RunAsync(
            $"engine, tokens/s, kernels {KernelSet.Available[0].Name}, anchor llama-bench",
            () => Task.FromResult(Measure(model, pass, pages)),
            () => AnchorAsync(llamaBench, path));
    }

    /// <summary>Through the whole engine, 1, 4 and 16 at once: what sampling costs is the ratio to greedy.</summary>
    private static async Task SamplingAsync(InferenceModel model, CancellationToken cancellationToken)
    {
        await using var engine = new InferenceEngine(model, new InferenceEngineOptions { Threads = 2 }, TimeProvider.System);
        var sampled = new SamplingOptions { TopP = 0.95 };
        await Rounds.RunAsync("engine, tokens/s at T = 1, top_p 0.95, anchor greedy", () => DecodeAsync(engine, sampled, cancellationToken), () => DecodeAsync(engine, SamplingOptions.Greedy, cancellationToken));
        await Rounds.RunAsync(
            "engine, tokens/s at T = 1 with 5 log-probabilities, anchor greedy", () => DecodeAsync(engine, new SamplingOptions(), cancellationToken, top: 5), () => DecodeAsync(engine, SamplingOptions.Greedy, cancellationToken));
    }

    private static async Task<Dictionary<string, double>> DecodeAsync(InferenceEngine engine, SamplingOptions sampling, CancellationToken cancellationToken, int top = -1)
    {
        var rates = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var sequences in new[] { 1, 4, 16 })
        {
            var started = TimeProvider.System.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, sequences).Select(async number =>
            {
                var request = new GenerationRequest { Prompt = [.. Enumerable.Range(1000 * (number + 1), 8)], MaxTokens = Generated, Sampling = sampling, Seed = (ulong)number, TopLogProbs = top, IgnoreEnd = true };
                await foreach (var step in engine.GenerateAsync(request, cancellationToken)) _ = step.Token;
            }));
            rates[$"{sequences} at once"] = sequences * Generated / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        }

        return rates;
    }

    private static Dictionary<string, double> Measure(InferenceModel model, ForwardPass pass, KeyValuePool pages)
    {
        var held = new List<KeyValuePage>();
        pages.TryGrow(held, Prompt + Generated);
        var random = new Random(1);
        BatchRow[] prompt = [.. Enumerable.Range(0, Prompt).Select(position => new BatchRow(random.Next(model.Config.Vocabulary), position, held, position == Prompt - 1))];
        var started = TimeProvider.System.GetTimestamp();
        pass.Run(prompt);
        var prefill = TimeProvider.System.GetElapsedTime(started).TotalSeconds;

        started = TimeProvider.System.GetTimestamp();
        for (var position = 0; position < Generated; position++) pass.Run([new BatchRow(random.Next(model.Config.Vocabulary), position, held, true)]);
        var decode = TimeProvider.System.GetElapsedTime(started).TotalSeconds;

        pages.Return(held);
        return new(StringComparer.Ordinal) { ["prefill 512"] = Prompt / prefill, ["decode 64"] = Generated / decode };
    }

    private static async Task<Dictionary<string, double>> AnchorAsync(string program, string model)
    {
        var output = await Rounds.RunProgramAsync(program, "-m", model, "-t", "2", "-p", $"{Prompt}", "-n", $"{Generated}", "-r", "1", "-o", "json");
        using var results = JsonDocument.Parse(output);
        return results.RootElement.EnumerateArray().ToDictionary(
            result => result.GetProperty("n_prompt").GetInt32() > 0 ? "prefill 512" : "decode 64", result => result.GetProperty("avg_ts").GetDouble(), StringComparer.Ordinal);
    }
}
