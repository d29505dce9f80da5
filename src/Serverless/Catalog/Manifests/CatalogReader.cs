using Serverless.Catalog.Engines;
using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>
/// Manifests become a catalogue: each OpenModel that a Playground or Service claims is served. Everything wrong is found in one reading, and no field is silently ignored:
/// what is unknown or cannot work is an error, what has no effect in this shape a warning. Pure but for <paramref name="inspector"/>.
/// </summary>
public sealed class CatalogReader(EngineTable engines, IModelInspector inspector, RecipeBook? shipped = null)
{
    /// <summary>Reads all manifests of a catalogue.</summary>
    public CatalogReading Read(IEnumerable<Manifest> manifests)
    {
        ArgumentNullException.ThrowIfNull(manifests);
        var findings = new Findings();
        var documents = new List<ManifestFields>();
        var models = new Dictionary<string, DeclaredModel>(StringComparer.Ordinal);
        var deployments = new List<Deployment>();
        var runtimes = new Dictionary<string, (Recipe Recipe, ManifestFields Spec)>(StringComparer.Ordinal);
        foreach (var manifest in manifests)
        {
            var document = new ManifestFields(manifest, manifest.Content, "", findings);
            var kind = ManifestKinds.Of(document);
            if (kind is null) continue;

            documents.Add(document);
            switch (kind)
            {
                case ManifestKinds.OpenModel:
                    if (OpenModelReader.Read(document, engines) is { } model && !models.TryAdd(model.Name, model)) Duplicate(document, models[model.Name].Spec);
                    break;
                case ManifestKinds.BackendRuntime:
                    if (BackendRuntimeReader.Read(document) is { } runtime && !runtimes.TryAdd(runtime.Recipe.Name, runtime)) document.Error("metadata", $"names a BackendRuntime that {runtimes[runtime.Recipe.Name].Spec.Manifest.Source} declares too; names must differ");
                    break;
                default:
                    if (DeploymentReader.Read(document, kind) is { } deployment) deployments.Add(deployment);
                    break;
            }
        }

        var recipes = (shipped ?? RecipeBook.Empty).With(runtimes.Values.Select(runtime => runtime.Recipe));
        var containers = new ContainerJoin(recipes, runtimes.ToDictionary(runtime => runtime.Key, runtime => runtime.Value.Spec, StringComparer.Ordinal));
        var join = new CatalogJoin(engines, inspector, [.. engines.Names, .. recipes.All.Select(recipe => recipe.Name)], containers);
        var served = deployments.Select(deployment => (Deployment: deployment, Model: join.Join(deployment, models))).Where(joined => joined.Model is not null).ToList();
        foreach (var model in models.Values.Where(model => !join.Claimed.ContainsKey(model.Name) && !join.Drafts.Contains(model.Name))) model.Spec.Warn("", "is of a model that no Playground or Service claims; it is not served");
        foreach (var document in documents) document.Finish();
        var sound = new ModelCatalog(from joined in served where findings.IsSound(joined.Deployment.Spec.Manifest) && findings.IsSound(models[joined.Model!.Name.Value].Spec.Manifest) select joined.Model);
        return new CatalogReading(findings.Errors.Count == 0 ? sound : null, findings.Errors, findings.Warnings) { Sound = sound };
    }

    private static void Duplicate(ManifestFields document, ManifestFields first) =>
        document.Error("metadata", $"names a model that {first.Manifest.Source} declares too; names must differ");
}
