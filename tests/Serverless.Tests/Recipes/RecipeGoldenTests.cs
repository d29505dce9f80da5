using System.Text;
using Serverless.Catalog.Recipes;
using Serverless.Hosting.Manifests;
using Shouldly;

namespace Serverless.Tests.Recipes;

/// <summary>The command lines of the shipped recipes, as files beside this one: each config of each, and what classes, counts, hosts, roles, drafts and Playgrounds make of them. SERVERLESS_GOLDEN=write writes them anew.</summary>
public sealed class RecipeGoldenTests
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "Serverless.Tests", "Recipes", "Golden");

    private static readonly Dictionary<string, (string Flavor, string Runtime)[]> More = new(StringComparer.Ordinal)
    {
        ["vllm"] =
        [
            ("{name: h100, limits: {nvidia.com/gpu: 4}}", ""),
            ("{name: h100, limits: {nvidia.com/gpu: 8}, params: {hosts: 2}}", ""),
            ("{name: a10, params: {TP: 2, PP: 2}}", ""),
            ("{name: h100, params: {role: prefill}}, {name: a10, params: {role: decode}}", ""),
            ("{name: h100, params: {config: fp8}}", "configName: awq"),
            ("{name: l4}", "version: v0.7.3, configName: speculative-decoding"),
            ("{name: l4}", "version: v0.10.2, configName: structured-outputs"),
            ("{name: mine, limits: {nvidia.com/mig-1g.10gb: 1}, nodeSelector: {zone: a}}", "args: [--max-num-seqs, '8', '--served-model-name={{ .ModelName }}-x'], envs: [{name: VLLM_LOGGING_LEVEL, value: DEBUG}, {name: HF_TOKEN, valueFrom: {secretKeyRef: {name: modelhub-secret, key: HF_TOKEN}}}], resources: {requests: {cpu: 8}, limits: {memory: 64Gi}}, sharedMemorySize: 1Gi"),
        ],
        ["sglang"] = [("{name: h200, limits: {nvidia.com/gpu: 8}, params: {hosts: 2}}", ""), ("{name: h100, params: {role: decode}}, {name: a10, params: {role: prefill}}", "")],
        ["tgi"] = [("{name: a10g, limits: {nvidia.com/gpu: 4}}", "")],
    };

    /// <summary>A flavor of each family that the recipes are for.</summary>
    private static readonly Dictionary<string, string> Classes = new(StringComparer.Ordinal)
    {
        ["cuda"] = "l40s", ["rocm"] = "mi300x", ["cpu"] = "cpu", ["ascend"] = "ascend-910b", ["tpu"] = "tpu-v6e", ["gaudi"] = "gaudi3", ["xpu"] = "max-1100",
    };

    public static TheoryData<string> Names => [.. ShippedRecipes.Book.All.Select(recipe => recipe.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_recipe_renders_what_its_file_says(string name)
    {
        var recipe = ShippedRecipes.Book.Find(name)!;
        var engine = name.Split('-')[0];
        var flavor = $"{{name: {Classes[recipe.Families[0]]}}}";
        var text = new StringBuilder();
        foreach (var config in recipe.Configs.Select(config => config.Name).Distinct().Where(config => config is not ("prefill" or "decode" or "multi-host")))
            Append(text, engine, flavor, config == "default" ? "" : $"configName: {config}", isDraft: config == "speculative-decoding");
        foreach (var (more, runtime) in More.GetValueOrDefault(name, [])) Append(text, engine, more, runtime, isDraft: runtime.Contains("speculative", StringComparison.Ordinal));

        var path = Path.Combine(Folder, $"{name}.txt");
        if (Environment.GetEnvironmentVariable("SERVERLESS_GOLDEN") == "write") await File.WriteAllTextAsync(path, text.ToString(), TestContext.Current.CancellationToken);
        text.ToString().ShouldBe(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), $"SERVERLESS_GOLDEN=write writes {path} anew");
    }

    [Fact]
    public void Each_file_is_of_a_recipe() => Directory.GetFiles(Folder).Select(Path.GetFileNameWithoutExtension).ShouldBe(Names.Select(name => name.Data), ignoreOrder: true);

    private static void Append(StringBuilder text, string engine, string flavor, string runtime, bool isDraft)
    {
        var container = RecipeText.Render(engine, flavor, runtime, isDraft);
        text.Append("# ").Append(flavor).Append(runtime.Length > 0 ? $", backendRuntimeConfig: {{{runtime}}}" : "").Append(isDraft ? ", a draft" : "").Append('\n');
        foreach (var line in ContainerText.Lines(container)) text.Append(line).Append('\n');
        text.Append('\n');
    }
}
