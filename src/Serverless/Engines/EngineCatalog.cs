using System.Collections.Frozen;
using Serverless.Catalog;

namespace Serverless.Engines;

/// <summary>Loads engines by the names that pools have for them.</summary>
public sealed class EngineCatalog(IEnumerable<IEngineFactory> factories)
{
    private readonly FrozenDictionary<string, IEngineFactory> _factories = factories.ToFrozenDictionary(factory => factory.Descriptor.Name, StringComparer.Ordinal);

    /// <summary>Whether the model's files are to be pulled before the engine of that pool is loaded.</summary>
    public bool Pulls(Pool pool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        return _factories.TryGetValue(pool.Model.Backend, out var factory) && factory.Descriptor.Pulls(pool);
    }

    /// <summary>Loads the engine of a replica of that pool.</summary>
    /// <exception cref="EngineLoadException">It cannot be loaded, or does not run here.</exception>
    public Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(pool);
        return _factories.TryGetValue(pool.Model.Backend, out var factory)
            ? factory.LoadAsync(pool, progress, cancellationToken)
            : throw new EngineLoadException($"Backend '{pool.Model.Backend}' of model '{pool.Model.Name}' does not run on this machine; there are: {string.Join(", ", _factories.Keys.Order(StringComparer.Ordinal))}.");
    }
}
