using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.InProcess;
using Serverless.Inference.Batching;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Worker;

/// <summary>A model that cannot be loaded is a load fault that says which file and why, whatever is wrong with it.</summary>
public sealed class InProcessEngineFactoryTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-factory");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("tokenizer.chat_template", "{% if %}")]
    [InlineData("tokenizer.ggml.pre", "bloom")]
    [InlineData("llama.rope.scaling.type", "longrope")]
    [InlineData("llama.block_count", null)]
    public async Task What_is_wrong_with_a_model_is_a_load_fault(string key, string? value)
    {
        var path = Save(TinyModel.Build(new Dictionary<string, object?> { [key] = value }).File);

        var fault = await Should.ThrowAsync<EngineLoadException>(() => LoadAsync(path));

        fault.Message.ShouldContain(path);
        fault.Message.ShouldContain("'tiny'");
    }

    [Fact]
    public async Task A_model_that_is_whole_is_loaded()
    {
        await using var engine = await LoadAsync(Save(TinyModel.Build().File));

        engine.Slots.ShouldBe(16);
    }

    private static Task<IEngine> LoadAsync(string path)
    {
        var model = new Model
        {
            Name = new ModelName("tiny"),
            Family = "test",
            Source = new ModelSource("host", path),
            ContextTokens = 128,
            Backend = "in-process",
            Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        };
        return new InProcessEngineFactory(new CoreBudget(2), TimeProvider.System).LoadAsync(model.Pools[0], new Progress<double>(), TestContext.Current.CancellationToken);
    }

    private string Save(byte[] file)
    {
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        File.WriteAllBytes(path, file);
        return path;
    }
}
