using Serverless.Catalog;
using Serverless.Catalog.Recipes;
using Shouldly;

namespace Serverless.Tests.Recipes;

public sealed class RecipeRendererTests
{
    [Fact]
    public void Flavors_of_other_classes_are_pools_with_other_images_counts_and_configs()
    {
        var reading = RecipeText.Read("vllm", "{name: h100, limits: {nvidia.com/gpu: 4}}, {name: a10-pair, params: {class: a10, TP: 2}}, {name: mi300x, params: {config: fp8}}, {name: tpu-v6e}");

        reading.Errors.ShouldBeEmpty();
        var containers = reading.Catalog!.Pools.Select(pool => pool.Flavor.Container!).ToArray();
        containers.Select(one => one.Recipe).ShouldBe(["vllm", "vllm", "vllm-rocm", "vllm-tpu"]);
        containers.Select(one => one.Image).Distinct().Count().ShouldBe(3);
        containers.Select(one => string.Join(',', one.Resources.Limits)).ShouldBe(["[nvidia.com/gpu, 4]", "[nvidia.com/gpu, 2]", "[amd.com/gpu, 1]", "[google.com/tpu, 1]"]);
        containers[1].NodeSelector.ShouldContainKeyAndValue("nvidia.com/gpu.product", "NVIDIA-A10");
        containers[2].Configs.ShouldBe(["default", "fp8"]);
    }

    [Theory]
    [InlineData("args: ['--x={{ .Nope }}']", "spec.backendRuntimeConfig.args[0]", "names the variable .Nope, which there is not; known are .ModelPath, .ModelName")]
    [InlineData("args: [a, '{{ .ModelPath']", "spec.backendRuntimeConfig.args[1]", "begins no variable; write {{ .ModelPath }}")]
    [InlineData("args: ['{{ if .ModelPath }}']", "spec.backendRuntimeConfig.args[0]", "begins no variable")]
    [InlineData("args: ['{{ .DraftModelPath }}']", "spec.backendRuntimeConfig.args[0]", "needs a draft model")]
    [InlineData("configName: nope", "spec.backendRuntimeConfig.configName", "'nope', which 'vllm' does not have; it has default, speculative-decoding")]
    [InlineData("configName: ngram, version: v0.7.3", "spec.backendRuntimeConfig.configName", "for other versions than v0.7.3")]
    [InlineData("version: 'a b'", "spec.backendRuntimeConfig.version", "no tag of an image")]
    [InlineData("envs: [{name: A, value: b, valueFrom: {x: y}}]", "spec.backendRuntimeConfig.envs[0].valueFrom", "one of the two")]
    [InlineData("envs: [{name: 1A}]", "spec.backendRuntimeConfig.envs[0].name", "must hold letters")]
    [InlineData("resources: {limits: {cpu: much}}", "spec.backendRuntimeConfig.resources.limits", "'much'")]
    [InlineData("sharedMemorySize: big", "spec.backendRuntimeConfig.sharedMemorySize", "must be a number, with a unit")]
    public void What_a_Playground_says_wrongly_is_told_with_its_field(string runtime, string field, string message)
    {
        var error = RecipeText.Read("vllm", "{name: l4}", runtime).Errors.ShouldHaveSingleItem();

        error.Field.ShouldBe(field);
        error.Message.ShouldContain(message);
    }

    [Theory]
    [InlineData("{name: l4, limits: {nvidia.com/gpu: 2}, params: {TP: 4}}", "params", "over 4 × 1 accelerators (TP × PP); its limits give 2 on each of 1 (hosts)")]
    [InlineData("{name: l4, limits: {nvidia.com/gpu: 0.5}}", "limits", "accelerators are whole")]
    [InlineData("{name: l4, params: {config: nope}}", "params", "'nope', which 'tgi' does not have")]
    [InlineData("{name: l4, params: {hosts: 2}}", "params", "'multi-host', which 'tgi' does not have")]
    public void What_a_flavor_says_wrongly_is_told_with_its_field(string flavor, string field, string message)
    {
        var error = RecipeText.Read("tgi", flavor).Errors.ShouldHaveSingleItem();

        error.Field.ShouldBe($"spec.inferenceConfig.flavors[0].{field}");
        error.Message.ShouldContain(message);
    }

    [Fact]
    public void A_draft_that_a_recipe_has_no_config_for_is_told() => RecipeText.Read("tgi", "{name: l4}", isDraft: true).Errors.ShouldHaveSingleItem().Message.ShouldContain("'speculative-decoding', which 'tgi' does not have");

    [Fact]
    public void A_class_that_no_recipe_is_for_has_no_container()
    {
        var reading = RecipeText.Read("tgi", "{name: tpu-v6e}");

        reading.Errors.ShouldBeEmpty();
        reading.Catalog!.Models[0].Flavors[0].Container.ShouldBeNull();
        reading.Warnings.ShouldContain(warning => warning.Message.Contains("BackendRuntime named tgi-tpu"));
    }

    /// <summary>A context that nobody wrote is the engine's to find out, not the guess that admission goes by.</summary>
    [Fact]
    public void A_variable_without_a_value_is_left_out_with_its_flag()
    {
        var args = RecipeText.Render("vllm", "{name: l4}", model: "").Args;

        args.ShouldNotContain("--max-model-len");
        args.ShouldAllBe(arg => arg.Length > 0 && !arg.Contains("{{"));
    }

    [Fact]
    public void What_a_value_holds_is_not_read_again()
    {
        var order = new RecipeOrder("{{ .TP }}", new ModelSource(ModelSource.FileScheme, "/m/{{ .Nope }}"), new Flavor { Name = "l4", AcceleratorClass = "l4" }, RuntimeConfig.None);
        var faults = new List<RecipeFault>();

        var container = RecipeRenderer.Render(new Recipe("own", "") { Image = "x", Command = ["{{.ModelPath}}"], Configs = [new RecipeConfig("default", "c") { Args = ["{{  .ModelName  }}"] }] }, order, faults);

        faults.ShouldBeEmpty();
        container!.Command.ShouldBe(["/m/{{ .Nope }}"]);
        container.Args.ShouldBe(["{{ .TP }}"]);
    }

    [Fact]
    public void A_filled_in_argument_is_bounded()
    {
        var order = new RecipeOrder("m", new ModelSource(ModelSource.FileScheme, new string('x', 1000)), new Flavor { Name = "l4", AcceleratorClass = "l4" }, new RuntimeConfig { Args = [string.Concat(Enumerable.Repeat("{{ .ModelPath }}", 9))] });
        var faults = new List<RecipeFault>();

        RecipeRenderer.Render(new Recipe("own", "") { Image = "x" }, order, faults).ShouldBeNull();
        faults.ShouldHaveSingleItem().Message.ShouldContain("9000 characters long, filled in; 8192 are allowed");
    }

    private const string Own = """
        apiVersion: inference.llmaz.io/v1alpha1
        kind: BackendRuntime
        metadata: {name: vllm}
        spec:
          image: registry/own
          command: [run]
          envs: [{name: A, value: '1'}]
          recommendedConfigs:
            - {name: default, args: ['{{ .ModelPath }}'], resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}, envs: [{name: B, value: '2'}]}
            - {name: loop, extends: loop}
            - {name: bad, args: ['{{ .Bad }}']}
        """;

    /// <summary>Recipe, config, Playground, flavor: the later wins.</summary>
    [Fact]
    public void A_recipe_of_the_manifests_takes_the_place_of_a_shipped_one()
    {
        var container = RecipeText.Render("vllm", "{name: l4, limits: {nvidia.com/gpu: 1, memory: 3Gi}}", "version: '7', args: [-v], envs: [{name: A, value: '3'}], resources: {requests: {cpu: 2}}", more: Own);

        container.Image.ShouldBe("registry/own:7");
        container.Args.ShouldBe(["/workspace/models/models--Qwen--Qwen2.5-7B-Instruct", "-v"]);
        container.Envs.ShouldBe([new RecipeVariable("A", "3"), new RecipeVariable("B", "2")]);
        container.Resources.Requests["cpu"].ShouldBe("2");
        container.Resources.Limits["memory"].ShouldBe("3Gi");
    }

    [Theory]
    [InlineData("configName: loop", "extends itself")]
    [InlineData("configName: bad", "names the variable .Bad")]
    public void A_fault_of_a_recipe_is_told_where_it_is_written(string runtime, string message) => RecipeText.Read("vllm", "{name: l4}", runtime, more: Own).Errors.ShouldHaveSingleItem().ToString().ShouldContain(message);

    [Theory]
    [InlineData(">=0.8.3", "v0.8.3", true)]
    [InlineData(">=0.8.3", "0.8.2.post1", false)]
    [InlineData("<0.11", "v0.10.2", true)]
    [InlineData("<0.11", "v0.11.0", false)]
    [InlineData("<0.11", "latest", false)]
    [InlineData(">=0.8.3", "nightly", true)]
    [InlineData(">=0.4 <0.5", "v0.4.5-cu121", true)]
    [InlineData(">=0.8.3", null, true)]
    public void Releases_are_compared_by_number(string range, string? tag, bool isHeld) => VersionRange.Parse(range)!.Holds(tag).ShouldBe(isHeld);

    [Theory]
    [InlineData("")]
    [InlineData("0.8")]
    [InlineData(">=x")]
    [InlineData("<1.0 <2.0")]
    public void What_is_no_range_is_none(string text) => VersionRange.Parse(text).ShouldBeNull();

    /// <summary>The order that is written stands until a price is written; then a missing one would turn them all off.</summary>
    [Theory]
    [InlineData("{name: h100}, {name: l4}", null, null)]
    [InlineData("{name: h100, params: {pricePerHour: 3}}, {name: l4, limits: {nvidia.com/gpu: 2}}", 3.0, 1.36)]
    [InlineData("{name: h100, params: {pricePerHour: 3}}, {name: a10}", 3.0, null)]
    public void A_list_price_ranks_nothing_by_itself(string flavors, double? first, double? second)
    {
        var read = RecipeText.Read("vllm", flavors).Catalog!.Models[0].Flavors;

        read.Select(flavor => flavor.HourlyPrice is { } price ? Math.Round(price, 2) : (double?)null).ShouldBe([first, second]);
    }

    [Fact]
    public void A_class_that_is_named_and_not_known_is_a_warning()
    {
        var reading = RecipeText.Read("vllm", "{name: big, params: {class: a100-80g}}");

        reading.Errors.ShouldBeEmpty();
        reading.Catalog!.Models[0].Flavors[0].AcceleratorClass.ShouldBe("a100-80g");
        reading.Warnings.Count(warning => warning.Message.Contains("'a100-80g', which is not known")).ShouldBe(1);
    }

    [Fact]
    public void A_replica_of_another_command_line_is_another()
    {
        static Pool Of(string runtime) => RecipeText.Read("vllm", "{name: l4}", runtime).Catalog!.Pools.Single();

        Of("args: [-a]").RunsAs(Of("args: [-a]")).ShouldBeTrue();
        Of("args: [-a]").RunsAs(Of("args: [-b]")).ShouldBeFalse();
        Of("args: [-a]").Model.ShouldBe(Of("args: [-a]").Model);
    }
}
