namespace Serverless.Catalog.Recipes;

/// <summary>What a recipe is to be rendered for.</summary>
/// <param name="Model">The name that clients ask for.</param>
/// <param name="Source">Where its files are from.</param>
/// <param name="Flavor">What it is to run on.</param>
/// <param name="Runtime">What its Playground says of the engine.</param>
public sealed record RecipeOrder(string Model, ModelSource Source, Flavor Flavor, RuntimeConfig Runtime)
{
    /// <summary>Longest sequence; null: what the model's files say.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>The model that drafts what this one checks; null: none.</summary>
    public ModelSource? Draft { get; init; }
}

/// <summary>What keeps a recipe from being rendered.</summary>
/// <param name="Field">The field: of the recipe, of the Playground (<c>backendRuntimeConfig.…</c>) or of the flavor (<c>params</c>).</param>
/// <param name="Message">What is wrong with it.</param>
public sealed record RecipeFault(string Field, string Message);
