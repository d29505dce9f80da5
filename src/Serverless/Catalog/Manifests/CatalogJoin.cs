using System.Globalization;
using Serverless.Catalog.Engines;
using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>Joins a claimed model with what serves it. One per reading.</summary>
internal sealed class CatalogJoin(EngineTable engines, IModelInspector inspector, HashSet<string> runtimes, ContainerJoin containers)
{
    /// <summary>Of a model whose manifest does not say and whose file is not at hand.</summary>
    private const int AssumedContextTokens = 32_768;

    /// <summary>Of a model that an engine of this process is to pull: so many does nearly every model allow, and every machine has room for them.</summary>
    private const int AssumedUntilPulled = 4096;

    private readonly Dictionary<string, Model> _pools = new(StringComparer.Ordinal);

    /// <summary>Models claimed so far, and by whom.</summary>
    public Dictionary<string, Deployment> Claimed { get; } = new(StringComparer.Ordinal);

    /// <summary>Models that draft for others.</summary>
    public HashSet<string> Drafts { get; } = new(StringComparer.Ordinal);

    /// <summary>Null where something is wrong, which is reported.</summary>
    public Model? Join(Deployment deployment, Dictionary<string, DeclaredModel> models)
    {
        if (!models.TryGetValue(deployment.Model, out var declared))
        {
            deployment.Claim.Error(deployment.Claim.Has("models") ? "models" : "modelName", $"claims the model '{deployment.Model}', which no OpenModel declares");
            return null;
        }

        if (!Claimed.TryAdd(deployment.Model, deployment))
        {
            var other = Claimed[deployment.Model];
            deployment.Claim.Error("", $"claims '{deployment.Model}', which {other.Kind} '{other.Name}' in {other.Spec.Manifest.Source} serves; one Playground or Service per model");
            return null;
        }

        var engine = EngineOf(deployment, declared);
        var flavors = FlavorsOf(deployment, declared, engine);
        var (context, facts) = FactsOf(declared, engine);
        BackendRules.Check(deployment, declared, engine, engines);
        var draft = DraftOf(deployment, models, engine);
        if (declared.Source is null || declared.Family is null || flavors.Count == 0 || facts?.Unservable is not null || !RolesAreWhole(flavors, deployment) || !RolesFit(flavors, deployment)) return null;

        var model = new Model
        {
            Name = new ModelName(declared.Name),
            Family = declared.Family,
            OwnedBy = declared.OwnedBy ?? "serverless",
            CreatedAt = declared.CreatedAt ?? DateTimeOffset.UnixEpoch,
            Source = declared.Source with { Version = facts?.Version },
            ContextTokens = context,
            Sampling = declared.Sampling.Over(facts?.Sampling ?? SamplingDefaults.None),
            Backend = engine.Name,
            Runtime = engine.HereWith.Count > 0 ? deployment.Runtime : RuntimeConfig.None,
            Flavors = [.. Priced(flavors).Select(flavor => containers.With(flavor, deployment, declared, engine, draft) with { FirstLoad = engine.FirstLoad(flavor, facts?.Bytes) })],
            Scaling = deployment.Scaling,
        };
        return PoolsAreNew(model, declared) ? model : null;
    }

    /// <summary>Where one flavor has a price, those of known classes that have none cost what the list says: else no price would count. Where none has one the order that is written stands.</summary>
    private static IEnumerable<Flavor> Priced(List<Flavor> flavors) => flavors.Exists(flavor => flavor.HourlyPrice is not null) ? flavors.Select(flavor => flavor with { HourlyPrice = flavor.HourlyPrice ?? AcceleratorSplit.ListPrice(flavor) }) : flavors;

    private ModelSource? DraftOf(Deployment deployment, Dictionary<string, DeclaredModel> models, EngineDescriptor engine)
    {
        if (deployment.Draft is not { } name) return null;

        Drafts.Add(name);
        if (engine.InThisProcess) deployment.Claim.Error("models", $"claims '{name}' to draft, which only containers do; leave it out, or give a started server its own flags in args");
        else if (!models.TryGetValue(name, out var draft)) deployment.Claim.Error("models", $"claims the model '{name}' to draft, which no OpenModel declares");
        else return draft.Source;
        return null;
    }

    /// <summary>Prefill alone answers nothing, and decode alone is never reached.</summary>
    private static bool RolesAreWhole(List<Flavor> flavors, Deployment deployment)
    {
        foreach (var (role, other) in new[] { (PoolRole.Prefill, PoolRole.Decode), (PoolRole.Decode, PoolRole.Prefill) })
        {
            if (flavors.FirstOrDefault(flavor => flavor.Role == role) is not { } half || flavors.Any(flavor => flavor.Role == other || flavor.Role == PoolRole.Both)) continue;

            deployment.Claim.Error("inferenceFlavors", $"names '{half.Name}' of role {role.ToString().ToLowerInvariant()} and none of role {other.ToString().ToLowerInvariant()} or both: nothing would do the rest of a request");
            return false;
        }

        return true;
    }

    /// <summary>A replica does one role, and a request needs every role: with fewer replicas than roles it would never end.</summary>
    private static bool RolesFit(List<Flavor> flavors, Deployment deployment)
    {
        var roles = flavors.Select(flavor => flavor.Role).Distinct().Order().Select(role => role.ToString().ToLowerInvariant()).ToArray();
        var most = deployment.Scaling.MaxReplicas;
        if (roles.Length <= most) return true;

        var (field, bound) = deployment.Spec.Has("elasticConfig") ? ("elasticConfig", "maxReplicas") : ("replicas", "replicas");
        deployment.Spec.Error(field, string.Create(CultureInfo.InvariantCulture, $"allows {most} in all ({bound}), but the flavors have {roles.Length} roles ({string.Join(", ", roles)}) and each needs a replica of its own; write {roles.Length} or more, or choose flavors of one role"));
        return false;
    }

    private EngineDescriptor EngineOf(Deployment deployment, DeclaredModel declared)
    {
        if (deployment.Backend is not { } backend) return engines.OfScheme(declared.Source?.Scheme) ?? engines.Of(ContainerEngines.Default.Name, declared.Flavors.Select(flavor => flavor.Flavor));

        if (!runtimes.Contains(backend)) deployment.BackendConfig!.Error("backendName", $"is no known backend; known are {string.Join(", ", runtimes.Order(StringComparer.Ordinal))}");
        return engines.Of(backend, declared.Flavors.Select(flavor => flavor.Flavor));
    }

    private static List<Flavor> FlavorsOf(Deployment deployment, DeclaredModel declared, EngineDescriptor engine)
    {
        if (declared.Flavors.Count == 0)
        {
            foreach (var unknown in deployment.InferenceFlavors) deployment.Claim.Error("inferenceFlavors", $"names '{unknown}', and the model declares no flavors");
            return [new Flavor { Name = engine.DefaultFlavor, AcceleratorClass = engine.DefaultFlavor }];
        }

        if (deployment.InferenceFlavors.Count == 0) return [.. declared.Flavors.Select(flavor => flavor.Flavor)];

        var chosen = new List<Flavor>();
        foreach (var name in deployment.InferenceFlavors)
        {
            if (declared.Flavors.FirstOrDefault(flavor => flavor.Flavor.Name == name) is not { } found) deployment.Claim.Error("inferenceFlavors", $"names '{name}', which is no flavor of the model; it has {string.Join(", ", declared.Flavors.Select(flavor => flavor.Flavor.Name))}");
            else if (chosen.Contains(found.Flavor)) deployment.Claim.Error("inferenceFlavors", $"names '{name}' twice");
            else chosen.Add(found.Flavor);
        }

        return chosen;
    }

    /// <summary>Its context, and what its file says where it was read. One whose file the engine does not run is left out and said so; the others are served.</summary>
    private (int Tokens, ModelFacts? Facts) FactsOf(DeclaredModel declared, EngineDescriptor engine)
    {
        if (!engine.ReadsFile)
        {
            if (declared.ContextTokens is null && (!engine.InThisProcess || engine.HereWith.Count > 0))
            {
                declared.Spec.Warn("contextTokens", string.Create(CultureInfo.InvariantCulture, $"is not given and the model's files are not at hand; {AssumedContextTokens} is assumed"));
            }

            return (declared.ContextTokens ?? AssumedContextTokens, null);
        }

        if (declared.Source is not { } source) return (declared.ContextTokens ?? AssumedContextTokens, null);

        string? fault = null;
        var facts = source.Scheme == ModelSource.FileScheme ? inspector.Inspect(source.Location, out fault) : inspector.Known(source);
        if (source.Scheme != ModelSource.FileScheme && facts is null)
        {
            if (declared.ContextTokens is null) declared.Spec.Warn("contextTokens", string.Create(CultureInfo.InvariantCulture, $"is not given and the model's files are not pulled yet; {AssumedUntilPulled} is assumed as long as this process runs"));
            return (declared.ContextTokens ?? AssumedUntilPulled, null);
        }

        if (facts is null) declared.Spec.Error("source", $"cannot be served: {fault}");
        else if (declared.ContextTokens > facts.ContextTokens) declared.Spec.Error("contextTokens", string.Create(CultureInfo.InvariantCulture, $"is more than the model's file allows, {facts.ContextTokens}"));
        if (facts?.Unservable is { } reason) declared.Spec.Warn("source", $"is of a model that cannot be served and is left out: {reason}");
        if (facts?.Ignored is { } ignored) declared.Spec.Warn("source", ignored);
        return (declared.ContextTokens ?? facts?.ContextTokens ?? AssumedContextTokens, facts);
    }

    /// <summary>Model and flavor are joined by a dash, and both may hold one: <c>a-b</c> on <c>c</c> is <c>a</c> on <c>b-c</c>.</summary>
    private bool PoolsAreNew(Model model, DeclaredModel declared)
    {
        foreach (var pool in model.Pools)
        {
            if (_pools.TryAdd(pool.Name.Value, model)) continue;
            declared.Spec.Error("inferenceConfig", $"makes the pool '{pool.Name}', which model '{_pools[pool.Name.Value].Name}' makes too; rename a model or a flavor");
            return false;
        }

        return true;
    }
}
