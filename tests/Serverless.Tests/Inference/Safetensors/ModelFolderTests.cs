using System.Text.Json.Nodes;
using Serverless.Inference.Batching;
using Serverless.Inference.Models;
using Serverless.Inference.Weights;
using Shouldly;

namespace Serverless.Tests.Inference.Safetensors;

/// <summary>A folder of transformers: what it holds is used or refused by name, whatever its weights are stored in and however many files they lie in.</summary>
public sealed class ModelFolderTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-folder");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("F16", 1)]
    [InlineData("BF16", 1)]
    [InlineData("F32", 3)]
    public async Task Every_type_and_any_number_of_files_are_the_same_model(string type, int parts)
    {
        TinyFolder.Save(_folder.FullName);
        var expected = await LogProbsAsync();
        foreach (var file in _folder.EnumerateFiles("*.safetensors")) file.Delete();

        TinyFolder.Save(_folder.FullName, type, parts);

        (await LogProbsAsync()).ShouldBe(expected);
    }

    [Fact]
    public void Template_and_tokens_come_from_the_files_beside_the_weights()
    {
        TinyFolder.Save(_folder.FullName);
        File.WriteAllText(Path.Combine(_folder.FullName, "generation_config.json"), """{"eos_token_id":[2,7]}""");
        using (var model = Load())
        {
            model.ChatTemplate.ShouldBe("{{ messages[0].content }}");
            model.Tokenizer.EndTokens.ShouldBe([2, 7], ignoreOrder: true);
            (model.Tokenizer.BeginText, model.Tokenizer.EndText).ShouldBe(("<s>", "</s>"));
            model.Config.Rotary!.Base.ShouldBe(10000);
        }

        File.WriteAllText(Path.Combine(_folder.FullName, "chat_template.jinja"), "newer");
        using var newer = Load();
        newer.ChatTemplate.ShouldBe("newer");
    }

    /// <summary>Whoever opens one to read waits for somebody who writes.</summary>
    [Theory]
    [InlineData("config.json", "cannot be read")]
    [InlineData("tokenizer.json", "cannot be read")]
    [InlineData("chat_template.jinja", null)]
    public async Task A_pipe_in_the_place_of_a_file_is_not_waited_for(string name, string? fault)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There are no pipes in folders.");
        TinyFolder.Save(_folder.FullName);
        var path = Path.Combine(_folder.FullName, name);
        File.Delete(path);
        using (var make = System.Diagnostics.Process.Start("mkfifo", [path])) await make.WaitForExitAsync(TestContext.Current.CancellationToken);

        var looked = Task.Run(
            () =>
            {
                using var files = ModelFiles.Look(_folder.FullName);
                files.Check();
            },
            TestContext.Current.CancellationToken);

        if (fault is null) await looked.WithinLimitAsync();
        else (await Should.ThrowAsync<ModelFileException>(() => looked.WithinLimitAsync())).Message.ShouldContain(fault);
    }

    [Theory]
    [InlineData("model_type", "\"bloom\"", "model_type is 'bloom'")]
    [InlineData("hidden_act", "\"relu\"", "hidden_act is \"relu\"")]
    [InlineData("alibi", "true", "'alibi' is not known")]
    [InlineData("hidden_size", "48", "length of the embeddings is 48")]
    [InlineData("hidden_size", "\"32\"", "hidden_size is \"32\"")]
    [InlineData("num_key_value_heads", "3", "3 key-value heads")]
    [InlineData("num_hidden_layers", "2", "no tensor 'blk.1.attn_q.weight'")]
    [InlineData("intermediate_size", "96", "make it 32 × 96")]
    [InlineData("rope_scaling", """{"rope_type":"longrope"}""", "'longrope'")]
    [InlineData("rope_scaling", """{"rope_type":"yarn","mscale":2}""", "'mscale'")]
    [InlineData("pretraining_tp", "2", "pretraining_tp is 2")]
    public void What_would_change_the_numbers_and_is_not_run_is_refused_by_name(string key, string value, string part)
    {
        TinyFolder.Save(_folder.FullName);
        var config = TinyFolder.Config();
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(Path.Combine(_folder.FullName, "config.json"), config.ToJsonString());

        Should.Throw<ModelException>(() => Load()).Message.ShouldContain(part);
    }

    [Fact]
    public void A_tensor_that_the_engine_would_leave_out_is_refused_by_name()
    {
        TinyFolder.Save(_folder.FullName);
        File.WriteAllBytes(Path.Combine(_folder.FullName, "model.safetensors"), TinyFolder.Weights([.. TinyFolder.Tensors(), ("model.layers.0.self_attn.q_norm.weight", [8])], "F32"));

        Should.Throw<ModelException>(() => Load()).Message.ShouldContain("blk.0.attn_q_norm.weight");
    }

    [Theory]
    [InlineData("config.json", "has no config.json")]
    [InlineData("tokenizer.json", "has no tokenizer.json")]
    [InlineData("model.safetensors", "cannot be opened")]
    public void A_file_that_is_missing_is_named(string name, string part)
    {
        TinyFolder.Save(_folder.FullName);
        File.Delete(Path.Combine(_folder.FullName, name));

        Should.Throw<ModelFileException>(() => Load()).Message.ShouldContain(part);
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"../other.safetensors"}}""", "'../other.safetensors'")]
    [InlineData("""{"weight_map":{}}""", "names 0 files")]
    [InlineData("""{}""", "no 'weight_map'")]
    public void An_index_leads_nowhere_but_into_its_folder(string index, string part)
    {
        TinyFolder.Save(_folder.FullName);
        File.WriteAllText(Path.Combine(_folder.FullName, "model.safetensors.index.json"), index);

        Should.Throw<ModelFileException>(() => Load()).Message.ShouldContain(part);
    }

    private InferenceModel Load() => InferenceModel.Load(_folder.FullName, null, TestContext.Current.CancellationToken);

    private async Task<List<int>> LogProbsAsync()
    {
        var token = TestContext.Current.CancellationToken;
        using var model = Load();
        await using var engine = new InferenceEngine(model, new InferenceEngineOptions { Threads = 1, KvTokens = 64, MaxSequences = 1 }, TimeProvider.System);
        var request = new GenerationRequest { Prompt = [3, 4, 5, 6, 7], MaxTokens = 3, Seed = 1, TopLogProbs = 1, IgnoreEnd = true };
        return await engine.GenerateAsync(request, token).Select(step => BitConverter.SingleToInt32Bits(step.LogProb)).ToListAsync(token);
    }
}
