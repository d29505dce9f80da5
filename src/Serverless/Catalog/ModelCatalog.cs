using System.Collections.Frozen;

namespace Serverless.Catalog;

/// <summary>An immutable view of all served models. Thread-safe.</summary>
public sealed class ModelCatalog
{
    private readonly FrozenDictionary<string, Model> _models;
    private readonly FrozenDictionary<string, Pool> _pools;

    /// <summary>Takes models with distinct names.</summary>
    /// <exception cref="ArgumentException">Two models or two pools share a name.</exception>
    public ModelCatalog(IEnumerable<Model> models)
    {
        Models = [.. models.OrderBy(model => model.Name.Value, StringComparer.Ordinal)];
        _models = Models.ToFrozenDictionary(model => model.Name.Value, StringComparer.Ordinal);
        _pools = Models.SelectMany(model => model.Pools).ToFrozenDictionary(pool => pool.Name.Value, StringComparer.Ordinal);
    }

    /// <summary>All models by name.</summary>
    public IReadOnlyList<Model> Models { get; }

    /// <summary>All pools.</summary>
    public IEnumerable<Pool> Pools => Models.SelectMany(model => model.Pools);

    /// <summary>
    /// This catalogue with the very objects of <paramref name="before"/> for the models that say the same, and <paramref name="before"/> itself where all do: whoever compares
    /// references sees what changed and nothing else.
    /// </summary>
    public ModelCatalog KeepingFrom(ModelCatalog before)
    {
        ArgumentNullException.ThrowIfNull(before);
        Model[] models = [.. Models.Select(model => before.Find(model.Name) is { } known && known == model ? known : model)];
        return models.SequenceEqual(before.Models, ReferenceEqualityComparer.Instance) ? before : new ModelCatalog(models);
    }

    /// <summary>Whether a model of <paramref name="before"/> is not in this one.</summary>
    public bool LacksOf(ModelCatalog before)
    {
        ArgumentNullException.ThrowIfNull(before);
        return before.Models.Any(model => Find(model.Name) is null);
    }

    /// <summary>The model of that name, or null.</summary>
    public Model? Find(ModelName name) => name.Value is null ? null : _models.GetValueOrDefault(name.Value);

    /// <summary>The model whose name is <paramref name="name"/> in UTF-16, without making a string; or null.</summary>
    public Model? Find(ReadOnlySpan<char> name) => _models.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out var model) ? model : null;

    /// <summary>The pool of that name, or null.</summary>
    public Pool? Find(PoolName name) => name.Value is null ? null : _pools.GetValueOrDefault(name.Value);
}
