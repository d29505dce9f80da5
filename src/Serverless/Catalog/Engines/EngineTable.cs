using System.Collections.Frozen;

namespace Serverless.Catalog.Engines;

/// <summary>The engines that are known, by name: those that run here, and llmaz's recipes for containers. Whoever wants to know something of an engine asks here. Immutable.</summary>
public sealed class EngineTable
{
    private readonly FrozenDictionary<string, EngineDescriptor> _engines;

    /// <summary>These, and the recipes for containers.</summary>
    /// <exception cref="ArgumentException">Two have one name, or claim one scheme.</exception>
    public EngineTable(IEnumerable<EngineDescriptor> engines)
    {
        Here = [.. engines];
        if (Here.GroupBy(engine => engine.Name).FirstOrDefault(same => same.Count() > 1) is { } name) throw new ArgumentException($"Two engines are named '{name.Key}'; names must differ.", nameof(engines));
        if (Here.Where(engine => engine.Scheme is not null).GroupBy(engine => engine.Scheme).FirstOrDefault(same => same.Count() > 1) is { } scheme)
            throw new ArgumentException($"The engines {string.Join(", ", scheme.Select(engine => engine.Name))} claim the scheme '{scheme.Key}' together; one may.", nameof(engines));
        _engines = Here.Concat(ContainerEngines.All.ExceptBy(Here.Select(engine => engine.Name), engine => engine.Name)).ToFrozenDictionary(engine => engine.Name, StringComparer.Ordinal);
    }

    /// <summary>Of every flavor, whatever runs it.</summary>
    public static IReadOnlyList<FlavorParam> OfEveryFlavor { get; } =
    [
        new(Flavor.PriceParam, 0, 1e6, Whole: false, "what a replica costs an hour, in any one currency: between flavors the scaler then prefers the cheapest that meets the deadlines") { Chosen = "not known; the class's list price where another flavor of the model has one written" },
        new(Flavor.ClassParam, null, null, Whole: false, "the accelerator class, where flavors of one class differ") { Chosen = "the flavor's name" },
    ];

    /// <summary>Those that run in processes of ours.</summary>
    public IReadOnlyList<EngineDescriptor> Here { get; }

    /// <summary>All names.</summary>
    public IEnumerable<string> Names => _engines.Keys;

    /// <summary>The rows of docs/manifests.md, engine by engine; what several take in the same way is one.</summary>
    public IEnumerable<string> Rows =>
    [
        .. Here.Append(ContainerEngines.Default).SelectMany(engine => engine.Params.Select(param => (param, engine.Title))).GroupBy(one => one.param, one => one.Title).Select(same => same.Key.Row(string.Join(", ", same))),
        .. OfEveryFlavor.Select(param => param.Row("every engine")),
    ];

    /// <summary>The engine of that name, or null.</summary>
    public EngineDescriptor? Find(string name) => _engines.GetValueOrDefault(name);

    /// <summary>The engine of that name; one that is not known is of a BackendRuntime, so it runs in containers.</summary>
    public EngineDescriptor Of(string name) => Find(name) ?? ContainerEngines.Of(name);

    /// <summary>The engine of that name for a model of these flavors: where none of them says that it runs here it is the one in containers.</summary>
    internal EngineDescriptor Of(string name, IEnumerable<Flavor> flavors) => Of(name) is { HereWith.Count: > 0 } here && ContainerEngines.All.Any(recipe => recipe.Name == name) && !flavors.Any(here.RunsHere) ? ContainerEngines.Of(name) : Of(name);

    /// <summary>The engine that a source of that scheme is its own, or null.</summary>
    public EngineDescriptor? OfScheme(string? scheme) => Here.FirstOrDefault(engine => scheme is not null && engine.Scheme == scheme);
}
