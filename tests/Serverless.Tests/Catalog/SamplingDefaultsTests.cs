using Serverless.Catalog;
using Serverless.Hosting.Engines.Simulated;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.Tokens;
using Serverless.Requests;
using Serverless.Tests.Inference.Gguf;
using Serverless.Tests.Manifests;
using Shouldly;

namespace Serverless.Tests.Catalog;

/// <summary>How tokens are chosen where a request says nothing: the manifest, then the model's file, then OpenAI.</summary>
public sealed class SamplingDefaultsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-sampling");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_manifest_goes_before_the_file_and_what_neither_says_is_left_open()
    {
        var model = Read("sampling: {temperature: 0.3, topK: 0, presencePenalty: -1}", ("general.sampling.temp", 0.6f), ("general.sampling.top_p", 0.95f), ("general.sampling.top_k", 20u));

        model.Sampling.ShouldBe(new SamplingDefaults { Temperature = 0.3, TopP = 0.95, TopK = 0, PresencePenalty = -1 });
        Read("").Sampling.ShouldBe(SamplingDefaults.None);
    }

    [Theory]
    [InlineData("temperature: 2.1", "temperature", "must be a number from 0 to 2")]
    [InlineData("temperature: warm", "temperature", "must be a number from 0 to 2")]
    [InlineData("topP: -0.1", "topP", "must be a number from 0 to 1")]
    [InlineData("topK: 1.5", "topK", "must be a whole number from 0")]
    [InlineData("frequencyPenalty: 3", "frequencyPenalty", "must be a number from -2 to 2")]
    [InlineData("top_p: 0.9", "top_p", "is no known field")]
    public void Bounds_are_checked(string written, string field, string message)
    {
        var error = ManifestText.Read(ManifestText.Simulated(spec: $"sampling: {{{written}}}"), ManifestText.Playground()).Errors.ShouldHaveSingleItem();

        error.Field.ShouldBe($"spec.sampling.{field}");
        error.Message.ShouldContain(message);
    }

    [Fact]
    public void A_file_whose_values_no_request_could_have_is_refused_by_key_and_value()
    {
        var fault = Should.Throw<CatalogException>(() => Read("", ("general.sampling.top_p", 7f))).Errors.ShouldHaveSingleItem();

        fault.Message.ShouldContain("'general.sampling.top_p' is 7; 0 to 1 is allowed");
    }

    [Fact]
    public void A_request_goes_before_its_model_and_its_model_before_OpenAI()
    {
        var defaults = new SamplingDefaults { Temperature = 0.2, TopP = 0.9, TopK = 5, MinP = 0.1, PresencePenalty = 0.5, FrequencyPenalty = -0.5 };

        Sampling("""{"prompt":"x"}""", null).ShouldBe((1, 1, 0, 0, 0, 0));
        Sampling("""{"prompt":"x"}""", defaults).ShouldBe((0.2, 0.9, 5, 0.1, 0.5, -0.5));
        Sampling("""{"prompt":"x","temperature":1,"top_p":1,"top_k":-1,"min_p":0,"presence_penalty":0,"frequency_penalty":0}""", defaults).ShouldBe((1, 1, 0, 0, 0, 0));
        Sampling("""{"prompt":"x","temperature":null}""", defaults).Temperature.ShouldBe(0.2);
    }

    [Fact]
    public void Other_defaults_roll_the_pool()
    {
        var model = Read("");

        (model with { Sampling = new SamplingDefaults { TopP = 0.5 } }).Pools[0].RunsAs(model.Pools[0]).ShouldBeFalse();
        (model with { OwnedBy = "other" }).Pools[0].RunsAs(model.Pools[0]).ShouldBeTrue();
    }

    [Theory]
    [InlineData("inferenceFlavors: []", "spec.inferenceFlavors", "write inferenceConfig.flavors")]
    [InlineData("inferenceConfig: {flavors: [{name: cpu, requests: {cpu: 1}}]}", "spec.inferenceConfig.flavors[0].requests", "write limits")]
    public void Former_names_of_fields_are_told_the_new_one(string written, string field, string message)
    {
        var error = ManifestText.Read(ManifestText.Simulated(spec: written), ManifestText.Playground()).Errors.ShouldHaveSingleItem();

        error.Field.ShouldBe(field);
        error.Message.ShouldContain(message);
    }

    /// <summary>The price is the scaler's: the engine must not take it for a parameter that it does not know.</summary>
    [Fact]
    public async Task Whatever_the_manifest_check_lets_through_the_engine_loads()
    {
        var parameters = new Dictionary<string, string> { ["loadSeconds"] = "86400", [Flavor.PriceParam] = "1.5", ["kvTokens"] = "64" };
        var pool = new Model
        {
            Name = new ModelName("m"),
            Family = "f",
            Source = new ModelSource("simulated", "m"),
            ContextTokens = 100,
            Backend = "simulated",
            Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu", Params = parameters }],
        }.Pools[0];
        var clock = new TestClock();

        var loading = new SimulatedEngineFactory(clock).LoadAsync(pool, new Progress<double>(), TestContext.Current.CancellationToken);
        clock.Advance(TimeSpan.FromDays(1));

        await using var engine = await loading.WithinLimitAsync();
        engine.KvCapacityTokens.ShouldBe(64);
    }

    private Model Read(string spec, params (string Key, object Value)[] file)
    {
        File.WriteAllBytes(Path.Combine(_folder.FullName, "own.gguf"), TinyModel.Build(file.ToDictionary(entry => entry.Key, entry => (object?)entry.Value)).File);
        File.WriteAllText(Path.Combine(_folder.FullName, "own.yaml"), $$$"""
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: own}
            spec:
              familyName: f
              source: {uri: "host://./own.gguf"}
              {{{spec}}}
            ---
            {{{ManifestText.Playground("own")}}}
            """);
        return new FileCatalogSource(_folder.FullName, TestEngines.Table).Current.Models.Single();
    }

    private static (double Temperature, double TopP, int TopK, double MinP, double Presence, double Frequency) Sampling(string body, SamplingDefaults? defaults)
    {
        var read = OpenAiBody.Parse(EndpointName.Completions, System.Text.Encoding.UTF8.GetBytes(body), defaults).Sampling;
        return (read.Temperature, read.TopP, read.TopK, read.MinP, read.PresencePenalty, read.FrequencyPenalty);
    }
}
