using Serverless.Inference.Batching;
using Serverless.Inference.Gguf;
using Serverless.Inference.Models;
using Serverless.Inference.Tokenizers;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Inference.Models;

/// <summary>What a file holds is used or refused, and nothing of the file is needed once the model is loaded.</summary>
public sealed class ModelLoadTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-load");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("blk.0.post_attention_norm.weight", 64)]
    [InlineData("blk.0.attn_q_norm.weight", 32)]
    [InlineData("blk.1.attn_norm.weight", 64)]
    [InlineData("position_embd.weight", 64)]
    public void A_tensor_that_the_engine_would_leave_out_is_refused_by_name(string name, int size) =>
        Should.Throw<ModelException>(() => Load(tensors: new() { [name] = [size] })).Message.ShouldContain($"'{name}'");

    [Theory]
    [InlineData("llama.rope.scaling.factor", 8f, "llama.rope.scaling.factor is 8")]
    [InlineData("llama.rope.scale_linear", 4f, "llama.rope.scale_linear is 4")]
    [InlineData("llama.rope.dimension_sections", 1u, "'llama.rope.dimension_sections'")]
    [InlineData("llama.expert_used_count", 2u, "llama.expert_used_count is 2")]
    [InlineData("llama.logit_scale", 0.5f, "'llama.logit_scale'")]
    [InlineData("llama.attention.value_length", 16u, "llama.attention.value_length is 16")]
    public void A_key_that_would_change_the_numbers_is_refused_by_name(string key, object value, string part) =>
        Should.Throw<ModelException>(() => Load(new() { [key] = value })).Message.ShouldContain(part);

    [Fact]
    public async Task Rope_factors_divide_the_frequencies()
    {
        using var plain = Load(new() { ["llama.rope.scaling.factor"] = 1f });
        using var scaled = Load(tensors: new() { ["rope_freqs.weight"] = [16] });

        scaled.Config.Rotary!.Factors.Count.ShouldBe(16);
        (await LogProbsAsync(plain)).ShouldNotBe(await LogProbsAsync(scaled));
        Should.Throw<ModelException>(() => Load(tensors: new() { ["rope_freqs.weight"] = [8] })).Message.ShouldContain("rope_freqs.weight");
    }

    [Fact]
    public async Task Once_loaded_the_file_may_be_emptied()
    {
        var path = Save(TinyModel.Build().File);
        using var model = InferenceModel.Load(path, null, TestContext.Current.CancellationToken);
        var before = await LogProbsAsync(model);

        await using (var file = File.OpenWrite(path)) file.SetLength(0); // a page of it that is still mapped would now be a SIGBUS

        (await LogProbsAsync(model)).ShouldBe(before);
        model.ChatTemplate.ShouldNotBeNull();
    }

    [Fact]
    public void A_file_of_version_2_is_the_same_model()
    {
        using var model = InferenceModel.Load(Save(TinyModel.Build(version: 2).File), null, TestContext.Current.CancellationToken);

        model.Config.Layers.ShouldBe(1);
    }

    [Fact]
    public async Task A_model_in_several_files_is_the_same_model()
    {
        using var whole = Load();

        using var model = InferenceModel.Load(SaveParts(3), null, TestContext.Current.CancellationToken);

        (await LogProbsAsync(model)).ShouldBe(await LogProbsAsync(whole));
    }

    [Fact]
    public void Parts_that_are_missing_or_do_not_belong_together_are_named()
    {
        var first = SaveParts(2);
        Should.Throw<GgufException>(() => InferenceModel.Load(first.Replace("00001-of", "00002-of"), null, TestContext.Current.CancellationToken)).Message.ShouldContain("name the first, which ends in '-00001-of-00002.gguf'");

        File.Copy(first, first.Replace("00001-of", "00002-of"), overwrite: true);
        Should.Throw<GgufException>(() => InferenceModel.Load(first, null, TestContext.Current.CancellationToken)).Message.ShouldContain("split.no is 0; it must be 1");

        File.Delete(first.Replace("00001-of", "00002-of"));
        Should.Throw<GgufException>(() => InferenceModel.Load(first, null, TestContext.Current.CancellationToken)).Message.ShouldContain("00002-of-00002.gguf' cannot be opened");
    }

    [Theory]
    [InlineData("tokenizer.ggml.eot_token_id")]
    [InlineData("tokenizer.ggml.eom_token_id")]
    public void Every_end_token_that_a_file_names_ends_an_answer(string key)
    {
        using var model = Load(new() { [key] = 259u });

        model.Tokenizer.EndTokens.ShouldBe([256, 259], ignoreOrder: true);
        Should.Throw<TokenizerException>(() => Load(new() { [key] = 260u })).Message.ShouldContain(key);
    }

    [Theory]
    [InlineData("<end_of_turn>")]
    [InlineData("<|eom_id|>")]
    [InlineData("<|end_of_text|>")]
    [InlineData("<|end|>")]
    public void A_token_that_is_an_end_by_its_name_ends_an_answer(string name)
    {
        var tokens = TinyModel.Tokens();
        tokens[257] = name;
        tokens[256] = "<|start|>";
        using var model = Load(new() { ["tokenizer.ggml.tokens"] = tokens, ["tokenizer.ggml.merges"] = new[] { "i n" } });

        model.Tokenizer.EndTokens.ShouldContain(257);
    }

    private static async Task<List<int>> LogProbsAsync(InferenceModel model)
    {
        var token = TestContext.Current.CancellationToken;
        await using var engine = new InferenceEngine(model, new InferenceEngineOptions { Threads = 1, KvTokens = 128, MaxSequences = 1 }, TimeProvider.System);
        var request = new GenerationRequest { Prompt = [1, 2, 3, 4, 5, 6, 7], MaxTokens = 3, Seed = 1, TopLogProbs = 1, IgnoreEnd = true };
        return await engine.GenerateAsync(request, token).Select(step => BitConverter.SingleToInt32Bits(step.LogProb)).ToListAsync(token);
    }

    /// <summary>The first of so many files, over which the tensors are spread.</summary>
    private string SaveParts(int count)
    {
        for (var part = 0; part < count; part++)
        {
            var number = part;
            var file = TinyModel.Build(new Dictionary<string, object?> { ["split.no"] = (uint)part, ["split.count"] = (uint)count, ["split.tensors.count"] = 11u }, part: name => name.Length % count == number).File;
            File.WriteAllBytes(Path.Combine(_folder.FullName, $"m-{part + 1:D5}-of-{count:D5}.gguf"), file);
        }

        return Path.Combine(_folder.FullName, $"m-00001-of-{count:D5}.gguf");
    }

    private InferenceModel Load(Dictionary<string, object?>? metadata = null, Dictionary<string, int[]>? tensors = null) =>
        InferenceModel.Load(Save(TinyModel.Build(metadata, tensors).File), null, TestContext.Current.CancellationToken);

    private string Save(byte[] file)
    {
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        File.WriteAllBytes(path, file);
        return path;
    }
}
