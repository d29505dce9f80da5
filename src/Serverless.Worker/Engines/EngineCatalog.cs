using System.Collections.Frozen;
using Serverless.Catalog;

namespace Serverless.Worker.Engines;

/// <summary>The registered backends by name.</summary>
internal sealed class EngineCatalog(IEnumerable<IEngineFactory> factories)
{
    private readonly FrozenDictionary<string, IEngineFactory> _factories = factories.ToFrozenDictionary(factory => factory.Backend, StringComparer.Ordinal);

    public Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken) =>
        _factories.TryGetValue(pool.Model.Backend, out var factory)
            ? factory.LoadAsync(pool, progress, cancellationToken)
            : throw new EngineLoadException($"Backend '{pool.Model.Backend}' of model '{pool.Model.Name}' does not run on this machine; there are: {string.Join(", ", _factories.Keys.Order(StringComparer.Ordinal))}.");
}
