using Serverless.Catalog;
using Serverless.Hosting.Manifests;
using Serverless.Tests.Inference.Gguf;
using Serverless.Tests.Inference.Safetensors;
using Shouldly;

namespace Serverless.Tests.Manifests;

public sealed class FileCatalogSourceTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("manifests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_shipped_model_is_served_from_a_clone_by_its_own_manifests()
    {
        var source = new FileCatalogSource(Path.Combine(Repository.Root, "models"), TestEngines.Table);

        var model = source.Current.Find(new ModelName("smollm2-135m-instruct")).ShouldNotBeNull();
        model.ContextTokens.ShouldBe(8192);
        model.Backend.ShouldBe("in-process");
        model.Source.Location.ShouldBe(Repository.ModelPath);
        model.Pools.Single().Name.Value.ShouldBe("smollm2-135m-instruct-cpu");
        model.Scaling.ShouldBe(new ScalingConfig { MinReplicas = 0, MaxReplicas = 1 });
        source.Warnings.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("tokenizer.chat_template", "{% if %}", "chat template")]
    [InlineData("tokenizer.ggml.pre", "bloom", "tokenizer.ggml.pre is 'bloom'")]
    [InlineData("llama.rope.scaling.type", "longrope", "longrope")]
    public void A_model_whose_file_the_engine_cannot_run_is_left_out_by_name_and_the_others_are_served(string key, string value, string part)
    {
        var path = Path.Combine(_folder.FullName, "odd.gguf");
        File.WriteAllBytes(path, TinyModel.Build(new Dictionary<string, object?> { [key] = value }).File);
        Write("a.yaml", ManifestText.Simulated());
        Write("b.yaml", ManifestText.Playground());
        Write("c.yaml", $$$"""
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: odd}
            spec: {familyName: odd, source: {uri: "host://{{{path}}}"}}
            """);
        Write("d.yaml", ManifestText.Playground("odd"));

        var source = new FileCatalogSource(_folder.FullName, TestEngines.Table);

        source.Current.Models.Single().Name.Value.ShouldBe("sim");
        var warning = source.Warnings.Single(warning => warning.ToString().Contains("left out", StringComparison.Ordinal)).ToString();
        warning.ShouldContain(path);
        warning.ShouldContain(part);
    }

    [Theory]
    [InlineData("llama", null)]
    [InlineData("bloom", "model_type is 'bloom'")]
    public void A_folder_of_transformers_is_a_model_as_a_file_is(string type, string? fault)
    {
        var path = Path.Combine(_folder.FullName, "weights");
        TinyFolder.Save(path);
        var config = TinyFolder.Config();
        config["model_type"] = type;
        File.WriteAllText(Path.Combine(path, "config.json"), config.ToJsonString());
        File.WriteAllText(Path.Combine(path, "generation_config.json"), """{"temperature":0.6}""");
        Write("a.yaml", ManifestText.Simulated());
        Write("b.yaml", ManifestText.Playground());
        Write("c.yaml", """
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: folder}
            spec: {familyName: folder, source: {uri: "host://./weights"}}
            """);
        Write("d.yaml", ManifestText.Playground("folder"));

        var source = new FileCatalogSource(_folder.FullName, TestEngines.Table);

        var model = source.Current.Find(new ModelName("folder"));
        if (fault is null) (model!.ContextTokens, model.Sampling.Temperature).ShouldBe((64, 0.6));
        else source.Warnings.ShouldContain(warning => warning.ToString().Contains(fault, StringComparison.Ordinal));
        (model is null).ShouldBe(fault is not null);
    }

    [Fact]
    public void Files_below_the_folder_are_read_and_others_left_alone()
    {
        Write("a/model.yaml", ManifestText.Simulated());
        Write("b/playground.yml", ManifestText.Playground());
        Write("readme.md", "no manifest");
        Write(".hidden/broken.yaml", "a: [");

        new FileCatalogSource(_folder.FullName, TestEngines.Table).Current.Models.Single().Name.Value.ShouldBe("sim");
    }

    [Fact]
    public void A_reload_with_an_error_keeps_the_last_good_catalogue()
    {
        Write("model.yaml", ManifestText.Simulated());
        Write("playground.yaml", ManifestText.Playground());
        var source = new FileCatalogSource(_folder.FullName, TestEngines.Table);
        var before = source.Current;

        Write("playground.yaml", ManifestText.Playground(spec: "replica: 3"));
        var reading = source.Reload();

        reading.Errors.Single().Field.ShouldBe("spec.replica");
        source.Current.ShouldBeSameAs(before);

        Write("playground.yaml", ManifestText.Playground(spec: "replicas: 3"));
        source.Reload().Errors.ShouldBeEmpty();
        source.Current.Models.Single().Scaling.MaxReplicas.ShouldBe(3);
    }

    [Fact]
    public void A_folder_that_is_missing_or_empty_is_an_error_that_says_so()
    {
        Should.Throw<CatalogException>(() => new FileCatalogSource(_folder.FullName, TestEngines.Table)).Message.ShouldContain("holds no *.yaml");
        Should.Throw<CatalogException>(() => new FileCatalogSource(Path.Combine(_folder.FullName, "nowhere"), TestEngines.Table)).Message.ShouldContain("cannot be read");
    }

    [Fact]
    public void A_model_file_that_is_none_is_an_error_at_its_field()
    {
        Write("model.yaml", "apiVersion: llmaz.io/v1alpha1\nkind: OpenModel\nmetadata: {name: own}\nspec: {familyName: f, source: {uri: 'host://./own.gguf'}}");
        Write("playground.yaml", ManifestText.Playground("own"));
        Write("own.gguf", "this is no GGUF file at all, only text");

        var error = Should.Throw<CatalogException>(() => new FileCatalogSource(_folder.FullName, TestEngines.Table)).Errors.Single();

        error.Field.ShouldBe("spec.source");
        error.Message.ShouldContain("magic");
    }

    private void Write(string path, string text)
    {
        var full = Path.Combine(_folder.FullName, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
    }
}
