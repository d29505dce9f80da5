using System.Text.Json;
using Serverless.Inference.Kernels;
using Serverless.Inference.Models;

namespace Serverless.Benchmarks;

/// <summary>The in-process engine against llama-bench on the shipped model, two threads each: prefill of 512 tokens, decoding of 64.</summary>
internal static class EngineBenchmark
{
    private const int Prompt = 512;
    private const int Generated = 64;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(Rig.Root, "models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
        if (await Rig.PathAsync("llama-bench") is not { } llamaBench)
        {
            Console.WriteLine("engine: skipped, there is no rig with llama-bench; set RIG to its path.");
            return;
        }

        using var model = InferenceModel.Load(path, null, cancellationToken);
        using var pass = new ForwardPass(model, KernelSet.Available[0], 2, Prompt + Generated, Prompt, 16);
        using var pages = new KeyValuePool(model.Config, 16 * 1024);
        await Rounds.RunAsync(
            $"engine, tokens/s, kernels {KernelSet.Available[0].Name}, anchor llama-bench",
            () => Task.FromResult(Measure(model, pass, pages)),
            () => AnchorAsync(llamaBench, path));
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
