using Serverless.Catalog.Engines;
using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>The containers of a model's flavors, by the recipes that are known.</summary>
/// <param name="recipes">Those that are shipped, and those of the manifests.</param>
/// <param name="written">The manifests' own, to report their faults at.</param>
internal sealed class ContainerJoin(RecipeBook recipes, IReadOnlyDictionary<string, ManifestFields> written)
{
    /// <summary>The flavor with its container, where its engine runs in one and a recipe is known; faults are reported.</summary>
    public Flavor With(Flavor flavor, Deployment deployment, DeclaredModel declared, EngineDescriptor engine, ModelSource? draft)
    {
        if (engine.InThisProcess || declared.Source is not { } source || recipes.Find(engine.Name) is not { } named) return flavor;

        var fields = declared.Flavors.FirstOrDefault(one => one.Flavor.Name == flavor.Name)?.Fields ?? declared.Spec;
        var family = RecipeRenderer.FamilyOf(flavor);
        if (recipes.For(engine.Name, family) is not { } recipe)
        {
            fields.Warn("name", $"is of a class that runs images for {family}, and '{engine.Name}' has those for {string.Join(", ", named.Families)}: it has no container. A BackendRuntime named {engine.Name}-{family} would be its recipe");
            return flavor;
        }

        var faults = new List<RecipeFault>();
        var container = RecipeRenderer.Render(recipe, new RecipeOrder(declared.Name, source, flavor, deployment.Runtime) { ContextTokens = declared.ContextTokens, Draft = draft }, faults);
        foreach (var fault in faults) Report(fault, recipe, deployment, fields);
        return flavor with { Container = container };
    }

    private void Report(RecipeFault fault, Recipe recipe, Deployment deployment, ManifestFields flavor)
    {
        if (fault.Field is "params" or "limits") flavor.Error(fault.Field, fault.Message);
        else if (fault.Field.StartsWith("backendRuntimeConfig", StringComparison.Ordinal) || fault.Field == "modelClaims") deployment.Spec.Error(fault.Field, fault.Message);
        else if (written.TryGetValue(recipe.Name, out var spec)) spec.Error(fault.Field, fault.Message);
        else deployment.Spec.Error("backendRuntimeConfig", $"cannot be rendered by the recipe '{recipe.Name}': {fault.Field} {fault.Message}");
    }
}
