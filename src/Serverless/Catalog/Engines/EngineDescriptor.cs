namespace Serverless.Catalog.Engines;

/// <summary>
/// What is to be known of an engine without loading it: by it manifests are checked and joined, requests admitted, first loads estimated, and docs/manifests.md compared. An engine
/// says it of itself, beside its code.
/// </summary>
public sealed record EngineDescriptor
{
    /// <summary>Its name in manifests (<c>backendName</c>).</summary>
    public required string Name { get; init; }

    /// <summary>What docs/manifests.md calls it.</summary>
    public string Title => InThisProcess ? $"`{Name}`" : "containers";

    /// <summary>The params that its flavors may set, beside those of every flavor (<see cref="EngineTable.OfEveryFlavor"/>).</summary>
    public IReadOnlyList<FlavorParam> Params { get; init; } = [];

    /// <summary>Whether a process of ours runs it. Default: yes; else it runs in containers, which nobody here starts.</summary>
    public bool InThisProcess { get; init; } = true;

    /// <summary>Params of which each flavor names one where a process of ours is to run it: a model of whose flavors none does so is one of containers. Empty: it always runs here.</summary>
    public IReadOnlyList<string> HereWith { get; init; } = [];

    /// <summary>The scheme of sources that are its own: a model from there is served by it where the manifest names no engine. Null: none is.</summary>
    public string? Scheme { get; init; }

    /// <summary>Whether it reads the model's files, which are inspected where they are on this machine, and pulled to it where they are not.</summary>
    public bool ReadsFile { get; init; }

    /// <summary>The param by which a flavor names an engine that runs already and has its model: no files are pulled for it. Null: there is no such.</summary>
    public string? HasItsModelWith { get; init; }

    /// <summary>The name of the flavor of a model that declares none.</summary>
    public string DefaultFlavor { get; init; } = "default";

    /// <summary>The accelerators and cores that its flavors' limits may name; null: limits have no effect on it.</summary>
    public IReadOnlyList<string>? Resources { get; init; }

    /// <summary>What it honours beyond plain sampled text; what it would silently ignore is refused at the door.</summary>
    public IReadOnlyList<EngineFeature> Honours { get; init; } = [];

    /// <summary>How long a first load takes, by the flavor and the bytes of the model's file where those are known; null: nobody knows. Once a load was measured, that counts.</summary>
    public Func<Flavor, long?, TimeSpan?> FirstLoad { get; init; } = static (_, _) => null;

    /// <summary>Whether a flavor says that it runs here.</summary>
    internal bool RunsHere(Flavor flavor) => InThisProcess && (HereWith.Count == 0 || HereWith.Any(flavor.Params.ContainsKey));

    /// <summary>Whether the model's files must come to this machine before it is loaded.</summary>
    public bool Pulls(Pool pool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        return ReadsFile && pool.Model.Source.IsPulled && (HasItsModelWith is not { } param || !pool.Flavor.Params.ContainsKey(param));
    }

    /// <summary>Its params with those of every flavor, as manifests are checked.</summary>
    internal IReadOnlyList<FlavorParam> AllParams => [.. Params, .. EngineTable.OfEveryFlavor];
}
