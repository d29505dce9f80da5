using System.Collections.Frozen;
using Serverless.Catalog.Accelerators;

namespace Serverless.Catalog.Recipes;

/// <summary>The recipes that are known, by name. Immutable.</summary>
public sealed class RecipeBook(IEnumerable<Recipe> recipes)
{
    private readonly FrozenDictionary<string, Recipe> _recipes = recipes.ToFrozenDictionary(recipe => recipe.Name, StringComparer.Ordinal);

    /// <summary>None.</summary>
    public static RecipeBook Empty { get; } = new([]);

    /// <summary>All, by name.</summary>
    public IEnumerable<Recipe> All => _recipes.Values.OrderBy(recipe => recipe.Name, StringComparer.Ordinal);

    /// <summary>The recipe of that name, or null.</summary>
    public Recipe? Find(string name) => _recipes.GetValueOrDefault(name);

    /// <summary>These, each in the place of one of the same name.</summary>
    public RecipeBook With(IEnumerable<Recipe> more)
    {
        Recipe[] own = [.. more];
        return own.Length == 0 ? this : new RecipeBook([.. _recipes.Values.ExceptBy(own.Select(recipe => recipe.Name), recipe => recipe.Name), .. own]);
    }

    /// <summary>The recipe of an engine for a family of images: its own, or the engine's where that is of this family or says of none. Null: there is no such.</summary>
    /// <param name="name">As <c>backendName</c> has it.</param>
    /// <param name="family">One of <see cref="ImageFamily"/>; null: nobody knows, so the engine's.</param>
    public Recipe? For(string name, string? family)
    {
        if (family is not null && Find($"{name}-{family}") is { } own) return own;
        return Find(name) is { } recipe && (family is null || recipe.Families.Count == 0 || recipe.Families.Contains(family, StringComparer.Ordinal)) ? recipe : null;
    }
}
