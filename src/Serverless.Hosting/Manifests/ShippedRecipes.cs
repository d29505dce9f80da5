using System.Text;
using Serverless.Catalog.Manifests;
using Serverless.Catalog.Recipes;

namespace Serverless.Hosting.Manifests;

/// <summary>The BackendRuntimes that are shipped: the files of <c>Recipes</c>, which this assembly carries.</summary>
public static class ShippedRecipes
{
    private const string Prefix = "Recipes/";

    private static readonly Lazy<(RecipeBook Book, IReadOnlyDictionary<string, string> Texts)> Read = new(ReadAll);

    /// <summary>All of them.</summary>
    public static RecipeBook Book => Read.Value.Book;

    /// <summary>Each as it is written, by name.</summary>
    public static IReadOnlyDictionary<string, string> Texts => Read.Value.Texts;

    private static (RecipeBook Book, IReadOnlyDictionary<string, string> Texts) ReadAll()
    {
        var (texts, manifests, errors) = (new SortedDictionary<string, string>(StringComparer.Ordinal), new List<Manifest>(), new List<CatalogFinding>());
        var assembly = typeof(ShippedRecipes).Assembly;
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using var stream = new StreamReader(assembly.GetManifestResourceStream(name)!, Encoding.UTF8);
            var text = stream.ReadToEnd();
            texts[Path.GetFileNameWithoutExtension(name)] = text;
            manifests.AddRange(YamlManifests.Read(name, Encoding.UTF8.GetBytes(text), errors));
        }

        return errors.Count == 0 ? (RecipeManifests.Read(manifests), texts) : throw new FormatException(string.Join('\n', errors));
    }
}
