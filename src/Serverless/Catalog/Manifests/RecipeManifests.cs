using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>BackendRuntimes alone, as those that are shipped.</summary>
public static class RecipeManifests
{
    /// <summary>The recipes of these documents.</summary>
    /// <exception cref="FormatException">Something in them is wrong.</exception>
    public static RecipeBook Read(IEnumerable<Manifest> manifests)
    {
        ArgumentNullException.ThrowIfNull(manifests);
        var (findings, recipes) = (new Findings(), new List<Recipe>());
        foreach (var manifest in manifests)
        {
            var document = new ManifestFields(manifest, manifest.Content, "", findings);
            if (ManifestKinds.Of(document) != ManifestKinds.BackendRuntime) throw new FormatException($"{manifest.Source} is no {ManifestKinds.BackendRuntime}.");
            if (BackendRuntimeReader.Read(document) is { } read) recipes.Add(read.Recipe);
            document.Finish();
        }

        return findings.Errors.Count == 0 ? new RecipeBook(recipes) : throw new FormatException(string.Join('\n', findings.Errors));
    }
}
