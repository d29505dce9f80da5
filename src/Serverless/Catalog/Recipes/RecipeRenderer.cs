using System.Globalization;
using Serverless.Catalog.Accelerators;

namespace Serverless.Catalog.Recipes;

/// <summary>A recipe, a model, a flavor and what a Playground says become a container. Pure. Later wins, as llmaz has it: recipe, its config, Playground, flavor.</summary>
public static class RecipeRenderer
{
    /// <summary>Params of flavors that say how a replica is split.</summary>
    public const string TensorParallel = "TP", PipelineParallel = "PP", Hosts = "hosts", Config = "config";

    internal const string DraftModelPath = "DraftModelPath";

    private const string Default = "default", Speculative = "speculative-decoding", MultiHost = "multi-host";
    private const int MostExtended = 8;

    /// <summary>Where a source's files lie in a container, as llmaz's loader puts them.</summary>
    public static string PathOf(ModelSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (source.Scheme == ModelSource.FileScheme) return source.Location;
        if (source.File is { } file) return $"/workspace/models/{file}";
        var name = source.Scheme is ModelSource.HuggingFace or ModelSource.ModelScope ? $"models--{source.Location.Replace("/", "--", StringComparison.Ordinal)}" : source.Location.TrimEnd('/')[(source.Location.TrimEnd('/').LastIndexOf('/') + 1)..];
        return $"/workspace/models/{name}";
    }

    /// <summary>The family of images that a flavor needs, by what it asks for and else by its class; null: nobody knows.</summary>
    public static string? FamilyOf(Flavor flavor)
    {
        ArgumentNullException.ThrowIfNull(flavor);
        return flavor.Limits.Keys.Select(ImageFamily.OfResource).FirstOrDefault(family => family is not null and not ImageFamily.Cpu)
            ?? AcceleratorCatalog.Find(flavor.AcceleratorClass)?.Images
            ?? (flavor.Limits.ContainsKey("cpu") ? ImageFamily.Cpu : null);
    }

    /// <summary>The container; null where <paramref name="faults"/> receives why there is none.</summary>
    public static Container? Render(Recipe recipe, RecipeOrder order, ICollection<RecipeFault> faults)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        ArgumentNullException.ThrowIfNull(order);
        ArgumentNullException.ThrowIfNull(faults);
        var before = faults.Count;
        void Fault(string field, string message) => faults.Add(new RecipeFault(field, message));
        if (recipe.Image is null) Fault("image", $"is missing in the BackendRuntime '{recipe.Name}'; it is what a container runs");

        var version = order.Runtime.Version ?? recipe.Version;
        var split = AcceleratorSplit.Of(order.Flavor, Fault);
        var configs = ConfigsOf(recipe, order, version, split.Hosts, Fault);
        var variables = VariablesOf(order, split);
        var args = new List<string>();
        foreach (var config in configs) args.AddRange(RecipeTemplate.Fill(config.Args, $"{config.Field}.args", variables, Fault));
        args.AddRange(RecipeTemplate.Fill(order.Runtime.Args, "backendRuntimeConfig.args", variables, Fault));
        var workerArgs = configs.SelectMany(config => RecipeTemplate.Fill(config.WorkerArgs, $"{config.Field}.workerArgs", variables, Fault)).ToList();
        var command = RecipeTemplate.Fill(recipe.Command, "command", variables, Fault);
        if (faults.Count > before) return null;

        return new Container(recipe.Name, [.. configs.Select(config => config.Name)])
        {
            Image = version is null ? recipe.Image! : $"{recipe.Image}:{version}",
            Command = command,
            Args = args,
            WorkerArgs = split.Hosts > 1 ? [.. args, .. workerArgs] : [],
            Envs = Merge([.. recipe.Envs, .. configs.SelectMany(config => config.Envs), .. order.Runtime.Envs]),
            Resources = ResourcesOf(configs, order, split),
            SharedMemorySize = order.Runtime.SharedMemorySize ?? configs.Select(config => config.SharedMemorySize).LastOrDefault(size => size is not null),
            NodeSelector = order.Flavor.NodeSelector.Count > 0 ? order.Flavor.NodeSelector : AcceleratorCatalog.Find(order.Flavor.AcceleratorClass)?.NodeSelector ?? order.Flavor.NodeSelector,
            Hosts = split.Hosts,
            Hooks = recipe.Hooks,
        };
    }

    /// <summary>A Playground's arguments for an engine that is started here, whose model lies at <paramref name="path"/>.</summary>
    public static IReadOnlyList<string> ArgsHere(RuntimeConfig runtime, string model, string path, ICollection<RecipeFault> faults)
    {
        ArgumentNullException.ThrowIfNull(runtime);
        var variables = new Dictionary<string, string?>(StringComparer.Ordinal) { ["ModelPath"] = path, ["ModelName"] = model };
        return RecipeTemplate.Fill(runtime.Args, "backendRuntimeConfig.args", variables, (field, message) => faults.Add(new RecipeFault(field, message)));
    }

    private static Dictionary<string, string?> VariablesOf(RecipeOrder order, AcceleratorSplit split)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        return new(StringComparer.Ordinal)
        {
            ["ModelPath"] = PathOf(order.Source),
            ["ModelName"] = order.Model,
            [DraftModelPath] = order.Draft is { } draft ? PathOf(draft) : null,
            ["ContextTokens"] = order.ContextTokens is { } tokens ? Text(tokens) : null,
            ["TP"] = Text(split.Tensor),
            ["PP"] = Text(split.Pipeline),
            ["Hosts"] = Text(split.Hosts),
            ["Port"] = Text(Container.UsualPort),
        };
    }

    /// <summary>One that is named, or by whether a draft is claimed; then, where the recipe has them, those of the flavor's role and of several hosts.</summary>
    private static List<RecipeConfig> ConfigsOf(Recipe recipe, RecipeOrder order, string? version, int hosts, Action<string, string> fault)
    {
        var chosen = new List<RecipeConfig>();
        var (name, field) = order.Flavor.Params.TryGetValue(Config, out var own) ? (own, "params") : order.Runtime.ConfigName is { } named ? (named, "backendRuntimeConfig.configName") : order.Draft is not null ? (Speculative, "modelClaims") : (Default, "backendRuntimeConfig");
        Add(name, field);
        var role = order.Flavor.Role.ToString().ToLowerInvariant();
        if (order.Flavor.Role != PoolRole.Both && recipe.Configs.Any(config => config.Name == role)) Add(role, "params");
        if (hosts > 1) Add(MultiHost, "params");
        return chosen;

        void Add(string wanted, string from)
        {
            var first = chosen.Count;
            for (var next = (string?)wanted; next is not null; next = chosen[first].Extends)
            {
                var known = recipe.Configs.Where(config => config.Name == next).ToList();
                var found = known.FirstOrDefault(config => config.Versions?.Holds(version) != false);
                if (found is null && known.Count == 0 && next == Default) return; // a recipe of one command alone
                if (found is null || chosen.Count >= MostExtended * 3 || chosen.Skip(first).Contains(found))
                {
                    fault(from, found is not null ? $"asks for the config '{wanted}' of '{recipe.Name}', which extends itself"
                        : known.Count > 0 ? $"asks for the config '{next}', which '{recipe.Name}' has for other versions than {version ?? "its own"}"
                        : $"asks for the config '{next}', which '{recipe.Name}' does not have; it has {string.Join(", ", recipe.Configs.Select(config => config.Name).Distinct())}");
                    return;
                }

                if (chosen.Take(first).Contains(found)) return; // taken already
                chosen.Insert(first, found);
            }
        }
    }

    private static ContainerResources ResourcesOf(List<RecipeConfig> configs, RecipeOrder order, AcceleratorSplit split)
    {
        var resources = configs.Aggregate(ContainerResources.None, (all, config) => all.With(config.Resources)).With(order.Runtime.Resources);
        var own = new Dictionary<string, string>(order.Flavor.Limits, StringComparer.Ordinal);
        if (split.Resource is { } resource && resource != "cpu") own[resource] = split.PerHost.ToString(CultureInfo.InvariantCulture);
        return resources.With(new ContainerResources(own, own));
    }

    private static List<RecipeVariable> Merge(IReadOnlyList<RecipeVariable> envs) => [.. envs.GroupBy(env => env.Name).Select(same => same.Last())];
}
