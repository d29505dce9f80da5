using Serverless.Catalog;
using Serverless.Tests.Manifests;
using Shouldly;

namespace Serverless.Tests.Catalog;

public sealed class CatalogReaderTests
{
    [Fact]
    public void The_seeds_model_has_a_pool_per_flavor_in_order_of_preference()
    {
        var model = Model(ManifestText.Seed, ManifestText.SeedElastic);

        model.Name.Value.ShouldBe("qwen");
        model.Family.ShouldBe("qwen2.5");
        model.Source.ShouldBe(new ModelSource("huggingface", "Qwen/Qwen2.5-7B", "main"));
        model.Backend.ShouldBe("sglang");
        model.Pools.Select(pool => pool.Name.Value).ShouldBe(["qwen-a10", "qwen-a100-40gb", "qwen-4090"]);
        model.Flavors[0].Limits["nvidia.com/gpu"].ShouldBe("1");
        model.Flavors[2].NodeSelector["gpu.nvidia.com/model"].ShouldBe("4090");
        model.Scaling.ShouldBe(new ScalingConfig { MinReplicas = 1, MaxReplicas = 100 });
    }

    [Fact]
    public void A_playground_without_elastic_config_asks_for_a_fixed_count()
    {
        var model = Model(ManifestText.Seed, ManifestText.SeedFixed);

        model.Backend.ShouldBe("vllm");
        model.Scaling.ShouldBe(new ScalingConfig { MinReplicas = 4, MaxReplicas = 4 });
    }

    [Fact]
    public void A_services_elided_template_is_reported_and_the_model_served()
    {
        var reading = ManifestText.Read(ManifestText.Seed, ManifestText.SeedService);

        reading.Errors.ShouldBeEmpty();
        reading.Catalog!.Models.Single().Scaling.MaxReplicas.ShouldBe(4);
        reading.Warnings.ShouldContain(warning => warning.Field == "spec.workloadTemplate" && warning.Message.Contains("runtime's default"));
    }

    [Fact]
    public void A_model_of_this_machine_runs_in_process_with_the_context_of_its_file()
    {
        var model = Model(Hosted("host:///models/a.gguf"), ManifestText.Playground("own", "elasticConfig: {minReplicas: 0, maxReplicas: 2, cooldownPeriod: 30}"));

        model.Backend.ShouldBe("in-process");
        model.ContextTokens.ShouldBe(8192);
        model.Source.ShouldBe(new ModelSource("host", "/models/a.gguf"));
        model.Flavors.Single().AcceleratorClass.ShouldBe("cpu");
        model.Scaling.ShouldBe(new ScalingConfig { MinReplicas = 0, MaxReplicas = 2, Cooldown = TimeSpan.FromSeconds(30) });
    }

    [Theory]
    [InlineData("server: /opt/llama-server")]
    [InlineData("url: http://127.0.0.1:8080")]
    public void A_flavor_that_names_a_llama_server_runs_here(string param)
    {
        var model = Model(Llama($"{param}, silenceSeconds: 5"), ManifestText.Playground("own", "elasticConfig: {minReplicas: 0}\nbackendRuntimeConfig: {backendName: llamacpp}"));

        (model.Backend, model.ContextTokens, model.Scaling.MaxReplicas).ShouldBe(("llamacpp", 8192, 1));
    }

    [Theory]
    [InlineData("vllm", "server: vllm, scheduling: priority, args: --tensor-parallel-size 2")]
    [InlineData("sglang", "url: http://127.0.0.1:30000, servedName: m, apiKeyVariable: KEY")]
    [InlineData("tgi", "server: text-generation-launcher, slots: 8")]
    [InlineData("tensorrt-llm", "url: http://127.0.0.1:8000")]
    [InlineData("ollama", "server: ollama")]
    [InlineData("openai", "url: https://example.org/v1, silenceSeconds: 100")]
    public void A_flavor_that_names_an_engines_server_or_url_runs_here(string backend, string parameters)
    {
        var reading = ManifestText.Read(Hub(parameters, "contextTokens: 4096"), ManifestText.Playground("own", $"elasticConfig: {{minReplicas: 0}}\nbackendRuntimeConfig: {{backendName: {backend}}}"));

        reading.Errors.ShouldBeEmpty();
        reading.Warnings.ShouldBeEmpty();
        var model = reading.Catalog!.Models.Single();
        (model.Backend, model.ContextTokens, model.Scaling.MaxReplicas).ShouldBe((backend, 4096, 1), "the engine that runs here takes the place of the recipe for containers");
    }

    [Fact]
    public void Where_no_engine_is_named_one_that_is_started_here_is_vllm()
    {
        var reading = ManifestText.Read(Hub("server: vllm"), ManifestText.Playground("own"));

        reading.Errors.ShouldBeEmpty();
        (reading.Catalog!.Models.Single().Backend, reading.Warnings.Single().Field).ShouldBe(("vllm", "spec.contextTokens"));
    }

    [Theory]
    [InlineData("vllm", "server: vllm, url: 'http://b'", "name more than one of server and url")]
    [InlineData("vllm", "url: 'http://b', scheduling: lifo", "it must be fcfs or priority")]
    [InlineData("tgi", "url: 'http://b', scheduling: priority", "'tgi' does not take")]
    [InlineData("openai", "server: any", "'openai' does not take")]
    [InlineData("openai", "slots: 2", "name none of url")]
    public void A_flavor_of_an_engine_that_cannot_work_is_refused(string backend, string parameters, string message)
    {
        var reading = ManifestText.Read(Hub(parameters), ManifestText.Playground("own", $"backendRuntimeConfig: {{backendName: {backend}}}"));

        reading.Errors.Select(error => error.ToString()).ShouldContain(error => error.Contains(message), string.Join('\n', reading.Errors));
    }

    /// <summary>What docs/engines.md shows is read without a fault.</summary>
    [Fact]
    public void The_examples_of_engines_are_one_of_each()
    {
        var files = Directory.GetFiles(Path.Combine(Repository.Root, "examples", "engines"), "*.yaml").Select(File.ReadAllText).ToArray();

        var reading = ManifestText.Read(files);

        reading.Errors.ShouldBeEmpty();
        reading.Catalog!.Models.Select(model => model.Backend).Distinct().Order(StringComparer.Ordinal).ShouldBe(["llamacpp", "ollama", "openai", "sglang", "tensorrt-llm", "tgi", "vllm"]);
    }

    [Theory]
    [InlineData("server: a", "args: [-x], envs: [{name: A, value: b}]", null)]
    [InlineData("server: a", "args: ['{{ .Nope }}']", "names the variable .Nope")]
    [InlineData("server: a", "envs: [{name: A, valueFrom: {secretKeyRef: {}}}]", "which is of containers")]
    [InlineData("server: a", "version: '1'", "is of containers")]
    [InlineData("url: 'http://b'", "args: [-x]", "is of containers")]
    public void A_started_server_takes_the_arguments_and_the_environment_of_its_Playground(string parameters, string runtime, string? fault)
    {
        var reading = ManifestText.Read(Llama(parameters), ManifestText.Playground("own", $"backendRuntimeConfig: {{backendName: llamacpp, {runtime}}}"));

        if (fault is not null) reading.Errors.ShouldHaveSingleItem().Message.ShouldContain(fault);
        else reading.Catalog!.Models.Single().Runtime.Args.ShouldBe(["-x"]);
    }

    [Fact]
    public void A_llamacpp_without_a_server_is_one_of_containers()
    {
        var reading = ManifestText.Read(Llama("TP: 2"), ManifestText.Playground("own", "backendRuntimeConfig: {backendName: llamacpp, version: b1, args: [-fa]}"));

        reading.Errors.ShouldBeEmpty();
        reading.Warnings.ShouldContain(warning => warning.Message.Contains("runs 'llamacpp' in containers"));
    }

    [Theory]
    [InlineData("server: a, url: 'http://b'", "name more than one of server and url")]
    [InlineData("url: 'ftp://b'", "must be a URL that begins with http")]
    [InlineData("url: b", "must be a URL that begins with http")]
    [InlineData("server: a, TP: 2", "'llamacpp' does not take")]
    [InlineData("server: a}}, {name: b, params: {slots: 2", "of flavor 'b' name none of server and url")]
    public void A_llamacpp_that_cannot_work_is_refused(string parameters, string message)
    {
        var reading = ManifestText.Read(Llama(parameters), ManifestText.Playground("own", "backendRuntimeConfig: {backendName: llamacpp}"));

        reading.Errors.Select(error => error.ToString()).ShouldContain(error => error.Contains(message), string.Join('\n', reading.Errors));
    }

    [Theory]
    [InlineData("elasticConfig: {minReplicas: 0}", 0, 1)]
    [InlineData("elasticConfig: {}", 1, 1)]
    [InlineData("elasticConfig: {minReplicas: 3}", 3, 3)]
    [InlineData("elasticConfig: {minReplicas: 0, maxReplicas: 4}", 0, 4)]
    [InlineData("replicas: 2", 2, 2)]
    [InlineData("", 1, 1)]
    public void What_runs_in_this_process_has_one_replica_unless_more_are_asked_for(string spec, int min, int max)
    {
        var scaling = Model(Hosted("host:///models/a.gguf"), ManifestText.Playground("own", spec)).Scaling;

        (scaling.MinReplicas, scaling.MaxReplicas).ShouldBe((min, max));
    }

    [Theory]
    [InlineData("host://./a.gguf", "/manifests/a.gguf")]
    [InlineData("HOST://../weights/a.gguf", "/weights/a.gguf")]
    public void A_relative_file_lies_beside_its_manifest(string uri, string path) =>
        Model(Hosted(uri), ManifestText.Playground("own")).Source.Location.ShouldBe(path);

    [Fact]
    public void Metadata_reaches_the_list_of_models()
    {
        var model = Model(ManifestText.Simulated("qwen2.5:7b", "ownedBy: Alibaba\ncreatedAt: 2024-09-19T00:00:00Z\ncontextTokens: 4096"), ManifestText.Playground("qwen2.5:7b"));

        model.OwnedBy.ShouldBe("Alibaba");
        model.CreatedAt.ShouldBe(new DateTimeOffset(2024, 9, 19, 0, 0, 0, TimeSpan.Zero));
        model.ContextTokens.ShouldBe(4096);
    }

    [Fact]
    public void A_claim_takes_a_subset_of_flavors_in_its_own_order()
    {
        var claim = ManifestText.SeedFixed.Replace("modelName: qwen", "modelName: qwen\n    inferenceFlavors: [\"4090\", a10]", StringComparison.Ordinal);

        Model(ManifestText.Seed, claim).Flavors.Select(flavor => flavor.Name).ShouldBe(["4090", "a10"]);
    }

    [Fact]
    public void A_model_nobody_claims_is_not_served_and_reported()
    {
        var reading = ManifestText.Read(ManifestText.Seed);

        reading.Catalog!.Models.ShouldBeEmpty();
        reading.Warnings.ShouldContain(warning => warning.Message.Contains("no Playground or Service claims"));
    }

    [Fact]
    public void Everything_wrong_is_found_in_one_reading()
    {
        var reading = ManifestText.Read(
            ManifestText.Simulated(spec: "ownedby: me\ncontextTokens: 3"),
            ManifestText.Playground(spec: "replicas: four\nelasticConfig: {minReplicas: 3, maxReplicas: 2}"));

        reading.Catalog.ShouldBeNull();
        reading.Errors.Select(error => error.Field).ShouldBe(
            ["spec.contextTokens", "spec.replicas", "spec.elasticConfig.minReplicas", "spec.ownedby"], ignoreOrder: true);
        reading.Errors.Single(error => error.Field == "spec.ownedby").Message.ShouldContain("is 'ownedBy' meant?");
        reading.Errors.ShouldAllBe(error => error.Line > 0 && error.Source == "/manifests/all.yaml");
    }

    [Theory]
    [InlineData("modelHub: {modelID: a/b}\n    uri: s3://bucket/a", "spec.source.uri", "beside modelHub")]
    [InlineData("uri: ftp://a", "spec.source.uri", "no known scheme")]
    [InlineData("uri: host://a.gguf", "spec.source.uri", "host://./x.gguf")]
    [InlineData("uri: host://", "spec.source.uri", "names nothing")]
    [InlineData("uri: 'host:///missing.gguf'", "spec.source", "cannot be opened")]
    [InlineData("modelHub: {name: Github, modelID: a/b}", "spec.source.modelHub.name", "known are Huggingface, ModelScope")]
    [InlineData("modelHub: {name: ModelScope, modelID: a/b, filename: c}", "spec.source.modelHub.filename", "Huggingface only")]
    [InlineData("modelHub: {modelID: a/b, filename: c, allowPatterns: ['*']}", "spec.source.modelHub.filename", "beside patterns")]
    [InlineData("modelHub: {}", "spec.source.modelHub.modelID", "is missing")]
    public void A_source_that_cannot_work_is_refused(string source, string field, string message) =>
        ShouldFail(field, message, $"apiVersion: llmaz.io/v1alpha1\nkind: OpenModel\nmetadata: {{name: sim}}\nspec:\n  familyName: f\n  source:\n    {source}\n", ManifestText.Playground());

    [Theory]
    [InlineData("replicas: 0", "spec.replicas", "minReplicas: 0")]
    [InlineData("elasticConfig: {minReplicas: 1}\nbackendRuntimeConfig: {backendName: vllm}", "spec.elasticConfig.maxReplicas", "is missing")]
    [InlineData("elasticConfig: {maxReplicas: 0}", "spec.elasticConfig.maxReplicas", "from 1")]
    [InlineData("elasticConfig: {minReplicas: -1, maxReplicas: 1}", "spec.elasticConfig.minReplicas", "from 0")]
    [InlineData("modelClaims: {models: [{name: sim}]}", "spec.modelClaims", "beside modelClaim")]
    [InlineData("backendRuntimeConfig: {backendName: vlm}", "spec.backendRuntimeConfig.backendName", "no known backend")]
    [InlineData("backendRuntimeConfig: {args: [--x]}", "spec.backendRuntimeConfig.args", "of containers")]
    [InlineData("backendRuntimeConfig: {backendName: in-process}", "spec.source", "reads a model's files")]
    public void A_playground_that_cannot_work_is_refused(string spec, string field, string message) =>
        ShouldFail(field, message, ManifestText.Simulated(), ManifestText.Playground(spec: spec));

    [Theory]
    [InlineData("{name: 4090}", ".name", "quotes")]
    [InlineData("{name: A10}", ".name", "lower-case")]
    [InlineData("{limits: {cpu: 1}}", ".name", "is missing")]
    [InlineData("{name: a, limits: {cpu: many}}", ".limits", "quantity 'many'")]
    [InlineData("{name: a, nodeSelector: {zone: 1}}", ".nodeSelector.zone", "quotes")]
    [InlineData("{name: a, params: {TP: 2}}", ".params", "does not take")]
    [InlineData("{name: a, params: {slots: 0}}", ".params", "whole number from 1")]
    [InlineData("{name: a, params: {loadSeconds: NaN}}", ".params", "number from 0")]
    public void A_flavor_that_cannot_work_is_refused(string flavor, string field, string message) =>
        ShouldFail("spec.inferenceConfig.flavors[0]" + field, message, ManifestText.Simulated(spec: $"inferenceConfig: {{flavors: [{flavor}]}}"), ManifestText.Playground());

    [Fact]
    public void A_flavors_price_is_read_from_its_params()
    {
        var model = Model(ManifestText.Simulated(spec: "inferenceConfig: {flavors: [{name: a, params: {pricePerHour: 1.21}}, {name: b}]}"), ManifestText.Playground());

        model.Flavors.Select(flavor => flavor.HourlyPrice).ShouldBe([1.21, null]);
        ShouldFail("spec.inferenceConfig.flavors[0].params", "number from 0", ManifestText.Simulated(spec: "inferenceConfig: {flavors: [{name: a, params: {pricePerHour: cheap}}]}"), ManifestText.Playground());
    }

    [Fact]
    public void A_flavors_role_is_read_from_its_params_where_the_engine_splits_requests()
    {
        var model = Model(Roles("{name: a, params: {role: prefill}}, {name: b, params: {role: decode}}, {name: c}"), ManifestText.SeedFixed);

        model.Flavors.Select(flavor => flavor.Role).ShouldBe([PoolRole.Prefill, PoolRole.Decode, PoolRole.Both]);
        ShouldFail("spec.inferenceConfig.flavors[0].params", "must be both, prefill or decode", Roles("{name: a, params: {role: draft}}"), ManifestText.SeedFixed);
        ShouldFail("spec.modelClaim.inferenceFlavors", "'a' of role prefill and none of role decode or both", Roles("{name: a, params: {role: prefill}}"), ManifestText.SeedFixed);
        ShouldFail("spec.inferenceConfig.flavors[0].params", "'simulated' does not take", ManifestText.Simulated(spec: "inferenceConfig: {flavors: [{name: a, params: {role: prefill}}]}"), ManifestText.Playground());

    }

    [Fact]
    public void Roles_that_the_bounds_leave_without_a_replica_are_refused()
    {
        const string Halves = "{name: a, params: {role: prefill}}, {name: b, params: {role: decode}}";
        var one = ManifestText.SeedFixed.Replace("replicas: 4", "replicas: 1", StringComparison.Ordinal);
        string Elastic(int most) => ManifestText.SeedFixed.Replace("replicas: 4", $"elasticConfig: {{minReplicas: 0, maxReplicas: {most}}}", StringComparison.Ordinal);

        ShouldFail("spec.replicas", "allows 1 in all (replicas), but the flavors have 2 roles (prefill, decode)", Roles(Halves), one);
        ShouldFail("spec.elasticConfig", "allows 1 in all (maxReplicas), but the flavors have 2 roles (prefill, decode)", Roles(Halves), Elastic(1));
        ShouldFail("spec.elasticConfig", "write 3 or more", Roles(Halves + ", {name: c}"), Elastic(2));
        Model(Roles(Halves), Elastic(2)).Scaling.MaxReplicas.ShouldBe(2);
        Model(Roles("{name: a}, {name: b}"), Elastic(1)).Flavors.Count.ShouldBe(2, "either does all of a request");
    }

    [Fact]
    public void Two_flavors_of_one_name_are_refused() =>
        ShouldFail("spec.inferenceConfig.flavors[1].name", "must differ", ManifestText.Simulated(spec: "inferenceConfig: {flavors: [{name: a}, {name: a}]}"), ManifestText.Playground());

    [Fact]
    public void A_model_declared_twice_is_refused() => ShouldFail("metadata", "declares too", ManifestText.Simulated(), ManifestText.Simulated(), ManifestText.Playground());

    [Fact]
    public void A_model_served_twice_is_refused() => ShouldFail("spec.modelClaim", "one Playground or Service per model", ManifestText.Simulated(), ManifestText.Playground(), ManifestText.Playground());

    [Fact]
    public void A_claim_of_no_model_is_refused() => ShouldFail("spec.modelClaim.modelName", "no OpenModel declares", ManifestText.Playground());

    [Fact]
    public void Two_models_that_make_one_pool_are_refused() => ShouldFail(
        "spec.inferenceConfig",
        "makes the pool 'a-b-c'",
        ManifestText.Simulated("a-b", "inferenceConfig: {flavors: [{name: c}]}"),
        ManifestText.Simulated("a", "inferenceConfig: {flavors: [{name: b-c}]}"),
        ManifestText.Playground("a-b"),
        ManifestText.Playground("a"));

    [Fact]
    public void More_context_than_the_file_has_is_refused() =>
        ShouldFail("spec.contextTokens", "8192", Hosted("host:///a.gguf") + "\n  contextTokens: 8193", ManifestText.Playground("own"));

    [Theory]
    [InlineData("apiVersion: llmaz.io/v1alpha1\nkind: Openmodel", "kind", "OpenModel, Playground, Service, BackendRuntime")]
    [InlineData("apiVersion: llmaz.io/v1\nkind: OpenModel", "apiVersion", "write llmaz.io/v1alpha1")]
    [InlineData("apiVersion: llmaz.io/v1alpha1\nkind: Playground", "apiVersion", "write inference.llmaz.io/v1alpha1")]
    [InlineData("kind: OpenModel", "apiVersion", "is missing")]
    public void A_kind_gone_wrong_is_refused(string document, string field, string message) => ShouldFail(field, message, document);

    [Fact]
    public void A_foreign_kind_is_skipped_and_reported()
    {
        var reading = ManifestText.Read("apiVersion: v1\nkind: ConfigMap\ndata: {a: b}", ManifestText.Simulated(), ManifestText.Playground());

        reading.Catalog!.Models.Count.ShouldBe(1);
        reading.Warnings.ShouldContain(warning => warning.Value == "ConfigMap");
    }

    [Fact]
    public void A_backend_runtime_may_be_named_and_is_reported_as_a_matter_of_containers()
    {
        var runtime = "apiVersion: inference.llmaz.io/v1alpha1\nkind: BackendRuntime\nmetadata: {name: mine}\nspec: {image: x, command: [y], recommendedConfigs: [{name: default, args: [z]}]}";

        var reading = ManifestText.Read(ManifestText.Seed, ManifestText.SeedElastic.Replace("sglang", "mine", StringComparison.Ordinal), runtime);

        reading.Errors.ShouldBeEmpty();
        reading.Catalog!.Models.Single().Backend.ShouldBe("mine");
        reading.Warnings.ShouldContain(warning => warning.Field == "spec.backendRuntimeConfig" && warning.Message.Contains("starts no") || warning.Message.Contains("does not start"));
    }

    private static string Hosted(string uri) => $"apiVersion: llmaz.io/v1alpha1\nkind: OpenModel\nmetadata: {{name: own}}\nspec:\n  familyName: f\n  source: {{uri: \"{uri}\"}}";

    private static string Hub(string parameters, string spec = "") => $$$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: own}
        spec:
          familyName: own
          {{{spec}}}
          source: {modelHub: {modelID: org/own}}
          inferenceConfig: {flavors: [{name: a, params: { {{{parameters}}} } }]}
        """;

    private static string Llama(string parameters) => Hosted("host:///models/a.gguf") + $"\n  inferenceConfig: {{flavors: [{{name: cpu, params: {{{parameters}}}}}]}}";

    private static Model Model(params string[] documents)
    {
        var reading = ManifestText.Read(documents);
        reading.Errors.ShouldBeEmpty();
        return reading.Catalog!.Models.Single();
    }

    private static string Roles(string flavors) => $$$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: qwen}
        spec:
          familyName: qwen2.5
          source: {modelHub: {modelID: Qwen/Qwen2.5-7B}}
          inferenceConfig: {flavors: [{{{flavors}}}]}
        """;

    private static void ShouldFail(string field, string message, params string[] documents)
    {
        var reading = ManifestText.Read(documents);

        reading.Catalog.ShouldBeNull();
        reading.Errors.ShouldContain(error => error.Field == field && error.ToString().Contains(message), $"wanted {field}: {message}\n{string.Join('\n', reading.Errors)}");
    }
}
