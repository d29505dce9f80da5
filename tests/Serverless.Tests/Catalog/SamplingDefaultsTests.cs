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

    [Theory]
    [InlineData("general.sampling.top_p", 7f, "general.sampling.top_p is 7, and 0 to 1 is allowed")]
    [InlineData("general.sampling.temp", float.NaN, "general.sampling.temp is NaN")]
    [InlineData("general.sampling.min_p", float.NegativeInfinity, "general.sampling.min_p is -Infinity")]
    [InlineData("general.sampling.top_k", 3_000_000_000u, "general.sampling.top_k is 3000000000, and 0 to 2147483647 is allowed")]
    [InlineData("general.sampling.top_k", "many", "'general.sampling.top_k' is a text")]
    public void A_value_that_no_request_could_have_is_told_and_stops_no_model(string key, object value, string told)
    {
        var source = Source("", null, (key, value), ("general.sampling.temp" == key ? "general.sampling.top_p" : "general.sampling.temp", 0.5f));

        source.Warnings.ShouldHaveSingleItem().Message.ShouldContain(told);
        source.Current.Models.Single().Sampling.ShouldBe(key == "general.sampling.temp" ? new SamplingDefaults { TopP = 0.5 } : new SamplingDefaults { Temperature = 0.5 });
    }

    [Fact]
    public void All_candidates_are_minus_one_to_others() => Read("", ("general.sampling.top_k", -1)).Sampling.ShouldBe(new SamplingDefaults { TopK = 0 });

    [Theory]
    [InlineData("""{"do_sample":true,"temperature":0.7,"top_p":0.8,"top_k":20,"repetition_penalty":1.05,"eos_token_id":[1,2]}""", "", 0.6, 0.8, 20)]
    [InlineData("""{"do_sample":false}""", "", 0.6, null, null)]
    [InlineData("""{"top_p":2,"top_k":null}""", "generation_config.json: top_p is 2", 0.6, null, null)]
    [InlineData("""{"top_k":"all"}""", "generation_config.json: top_k is no number", 0.6, null, null)]
    [InlineData("[1]", "generation_config.json is no object", 0.6, null, null)]
    [InlineData("{", "generation_config.json cannot be read", 0.6, null, null)]
    public void What_the_file_does_not_say_the_generation_config_beside_it_does(string config, string told, double? temperature, double? topP, int? topK)
    {
        var source = Source("", config, ("general.sampling.temp", 0.6f));

        source.Current.Models.Single().Sampling.ShouldBe(new SamplingDefaults { Temperature = temperature, TopP = topP, TopK = topK });
        if (told.Length == 0) source.Warnings.ShouldBeEmpty();
        else source.Warnings.ShouldHaveSingleItem().Message.ShouldContain(told);
    }

    [Fact]
    public void A_model_that_does_not_sample_is_greedy() => Source("", """{"do_sample":false}""").Current.Models.Single().Sampling.ShouldBe(new SamplingDefaults { Temperature = 0 });

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

    private Model Read(string spec, params (string Key, object Value)[] file) => Source(spec, null, file).Current.Models.Single();

    private FileCatalogSource Source(string spec, string? config, params (string Key, object Value)[] file)
    {
        if (config is not null) File.WriteAllText(Path.Combine(_folder.FullName, "generation_config.json"), config);
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
        return new FileCatalogSource(_folder.FullName, TestEngines.Table);
    }

    private static (double Temperature, double TopP, int TopK, double MinP, double Presence, double Frequency) Sampling(string body, SamplingDefaults? defaults)
    {
        var read = OpenAiBody.Parse(EndpointName.Completions, System.Text.Encoding.UTF8.GetBytes(body), defaults).Sampling;
        return (read.Temperature, read.TopP, read.TopK, read.MinP, read.PresencePenalty, read.FrequencyPenalty);
    }
}
