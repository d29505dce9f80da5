using System.Globalization;

namespace Serverless.Catalog.Manifests;

/// <summary>Reads <c>inference.llmaz.io/v1alpha1 Playground</c> and <c>Service</c>: both say that a model is served.</summary>
internal static class DeploymentReader
{
    private const string Main = "main", Draft = "draft";
    private const int MaxReplicas = 10_000;
    private const int MaxCooldownSeconds = 7 * 24 * 3600;

    /// <summary>Null where it claims no model, which is reported.</summary>
    public static Deployment? Read(ManifestFields document, string kind)
    {
        var (name, _) = ManifestMetadata.Read(document);
        document.Has("status");
        if (document.Object("spec") is not { } spec)
        {
            if (!document.Has("spec")) document.Error("spec", "is missing; it says which model is served");
            return null;
        }

        var (model, draft, claim) = ReadClaim(spec, kind);
        var elastic = kind == ManifestKinds.Playground ? spec.Object("elasticConfig") : null;
        var scaling = ReadScaling(spec, elastic);
        var backend = kind == ManifestKinds.Playground ? spec.Object("backendRuntimeConfig") : null;
        var backendName = backend?.Text("backendName", 128);
        if (kind == ManifestKinds.Service) ReadWorkload(spec);
        var flavors = claim?.Texts("inferenceFlavors", 8) ?? [];
        if (name is null || model is null || claim is null) return null;

        return new Deployment(kind, name, model, spec) { Claim = claim, InferenceFlavors = flavors, BackendConfig = backend, Backend = backendName, Draft = draft, Runtime = RuntimeConfigReader.Read(backend), Elastic = elastic, Scaling = scaling };
    }

    private static (string? Model, string? Draft, ManifestFields? Claim) ReadClaim(ManifestFields spec, string kind)
    {
        var one = kind == ManifestKinds.Playground ? spec.Object("modelClaim") : null;
        var many = spec.Object("modelClaims");
        if (one is not null && many is not null)
        {
            spec.Error("modelClaims", "is given beside modelClaim; give one of the two");
            return default;
        }

        if (one is not null) return (one.RequiredText("modelName", 128), null, one);
        if (many is not null) return Roles(many);

        var wanted = kind == ManifestKinds.Playground ? "modelClaim" : "modelClaims";
        if (!spec.Has(wanted)) spec.Error(wanted, "is missing; it names the model that is served");
        return default;
    }

    private static (string? Main, string? Draft, ManifestFields Claims) Roles(ManifestFields claims)
    {
        var named = new Dictionary<string, string?>(StringComparer.Ordinal);
        var models = claims.Objects("models", 8);
        foreach (var model in models)
        {
            var name = model.RequiredText("name", 128);
            var role = model.Text("role") ?? Main;
            if (role is not (Main or Draft)) model.Error("role", "must be main or draft");
            else if (!named.TryAdd(role, name)) model.Error("role", $"is {role} a second time; one model is the main one, and one may draft for it");
        }

        if (models.Count == 0) claims.Error("models", "must name a model");
        else if (!named.ContainsKey(Main)) claims.Error("models", "has no model of role main");
        return (named.GetValueOrDefault(Main), named.GetValueOrDefault(Draft), claims);
    }

    private static ScalingConfig ReadScaling(ManifestFields spec, ManifestFields? elastic)
    {
        var replicas = spec.Integer("replicas", 0, MaxReplicas);
        if (elastic is null)
        {
            if (replicas == 0) spec.Error("replicas", "would never serve; for a model that starts on demand write elasticConfig: {minReplicas: 0, maxReplicas: 1}");
            var count = Math.Max(1, replicas ?? 1);
            return new ScalingConfig { MinReplicas = count, MaxReplicas = count };
        }

        if (replicas is not null) spec.Warn("replicas", "has no effect beside elasticConfig: the scaler alone sets the count");
        var min = elastic.Integer("minReplicas", 0, MaxReplicas) ?? 1;
        var max = elastic.Integer("maxReplicas", 1, MaxReplicas);
        if (min > max) elastic.Error("minReplicas", string.Create(CultureInfo.InvariantCulture, $"is above maxReplicas, {max}"));
        elastic.WithoutEffect("scaleTrigger", "has no effect here: pending tokens, running work and KV pressure are the trigger");
        var cooldown = elastic.Integer("cooldownPeriod", 0, MaxCooldownSeconds);
        return new ScalingConfig { MinReplicas = Math.Min(min, max ?? min), MaxReplicas = max ?? Math.Max(1, min), Cooldown = cooldown is { } seconds ? TimeSpan.FromSeconds(seconds) : null };
    }

    private static void ReadWorkload(ManifestFields spec)
    {
        // The seed's slide elides the template as "...", which YAML reads as that text.
        if (spec.Has("workloadTemplate")) spec.Warn("workloadTemplate", "has no effect here: the runtime's default is used");
        spec.WithoutEffect("rolloutStrategy", "has no effect outside a cluster");
    }
}
