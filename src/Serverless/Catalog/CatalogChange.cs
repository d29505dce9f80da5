namespace Serverless.Catalog;

/// <summary>What came, changed and went between two catalogues.</summary>
/// <param name="Added">Models that were not there.</param>
/// <param name="Changed">Models that say something else now, as they are now.</param>
/// <param name="Removed">Models that are no longer there.</param>
/// <param name="Rolling">Pools of changed models whose replicas are to be replaced.</param>
public sealed record CatalogChange(IReadOnlyList<Model> Added, IReadOnlyList<Model> Changed, IReadOnlyList<Model> Removed, IReadOnlyList<PoolName> Rolling)
{
    /// <summary>Compares two catalogues.</summary>
    public static CatalogChange Between(ModelCatalog before, ModelCatalog after)
    {
        ArgumentNullException.ThrowIfNull(before);
        ArgumentNullException.ThrowIfNull(after);
        var changed = after.Models.Where(model => before.Find(model.Name) is { } known && known != model).ToList();
        return new CatalogChange(
            [.. after.Models.Where(model => before.Find(model.Name) is null)],
            changed,
            [.. before.Models.Where(model => after.Find(model.Name) is null)],
            [.. changed.SelectMany(model => model.Pools).Where(pool => before.Find(pool.Name) is { } known && !pool.RunsAs(known)).Select(pool => pool.Name)]);
    }

    /// <summary>Whether there is nothing to tell.</summary>
    public bool IsEmpty => Added.Count + Changed.Count + Removed.Count == 0;

    /// <summary>One line for people: <c>new: a; changed: b (replicas of b-cpu are replaced); gone: c</c>.</summary>
    public override string ToString() => string.Join("; ", new[] { Part("new", Added.Select(model => model.Name.Value)), Part("changed", Changed.Select(Describe)), Part("gone", Removed.Select(model => model.Name.Value)) }.Where(part => part.Length > 0));

    private static string Part(string what, IEnumerable<string> models) => string.Join(", ", models) is { Length: > 0 } names ? $"{what}: {names}" : "";

    private string Describe(Model model)
    {
        var rolling = model.Pools.Select(pool => pool.Name).Where(Rolling.Contains).ToList();
        return rolling.Count == 0 ? $"{model.Name} (no replica is replaced)" : $"{model.Name} (replicas of {string.Join(", ", rolling)} are replaced)";
    }
}
