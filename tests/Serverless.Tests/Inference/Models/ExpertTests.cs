using Serverless.Inference.Kernels;
using Serverless.Inference.Models;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Inference.Models;

/// <summary>A tiny random model of four experts, of which a token goes through two.</summary>
public sealed class ExpertTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-experts");

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>Of a single row each thread has a residual of its own, and each has to see what the experts gave.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void A_token_alone_in_its_pass_gives_the_same_bits_on_any_threads(int threads)
    {
        using var model = Load();
        int[] tokens = [.. Enumerable.Range(0, 60).Select(place => (place * 37) % 250)];

        var one = Logits(model, tokens, 1);

        Logits(model, tokens, threads).ShouldBe(one);
    }

    private static string[] Logits(InferenceModel model, int[] tokens, int threads)
    {
        using var pass = new ForwardPass(model, KernelSet.Available[0], threads, 128, 16, 16);
        using var pool = new KeyValuePool(model.Config, 128);
        var pages = new List<KeyValuePage>();
        pool.TryGrow(pages, tokens.Length).ShouldBeTrue();
        var logits = new string[tokens.Length];
        for (var place = 0; place < tokens.Length; place++)
        {
            pass.Run([new BatchRow(tokens[place], place, pages, true)]);
            logits[place] = string.Join(' ', pass.Logits(0).ToArray().Select(BitConverter.SingleToInt32Bits));
        }

        return logits;
    }

    private InferenceModel Load()
    {
        var path = Path.Combine(_folder.FullName, "experts.gguf");
        var metadata = new Dictionary<string, object?> { ["llama.expert_count"] = 4u, ["llama.expert_used_count"] = 2u };
        var tensors = new Dictionary<string, int[]>
        {
            ["blk.0.ffn_gate_inp.weight"] = [64, 4], ["blk.0.ffn_gate_exps.weight"] = [64, 64, 4], ["blk.0.ffn_up_exps.weight"] = [64, 64, 4], ["blk.0.ffn_down_exps.weight"] = [64, 64, 4],
        };
        File.WriteAllBytes(path, TinyModel.Build(metadata, tensors, part: name => name is not ("blk.0.ffn_gate.weight" or "blk.0.ffn_up.weight" or "blk.0.ffn_down.weight")).File);
        return InferenceModel.Load(path, null, TestContext.Current.CancellationToken);
    }
}
