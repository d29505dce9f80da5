using Serverless.Catalog;
using Serverless.Catalog.Engines;

namespace Serverless.Engines;

/// <summary>Loads engines of one kind, and says what is to be known of them. A new engine is a folder with one of these, and its line in <c>AddEngines</c>.</summary>
public interface IEngineFactory
{
    /// <summary>What manifests, admission and estimates know of it.</summary>
    EngineDescriptor Descriptor { get; }

    /// <summary>Loads an engine for a replica of the pool.</summary>
    /// <param name="pool">The pool: its model, its flavor and the flavor's parameters.</param>
    /// <param name="progress">Told the share that is done, 0 to 1.</param>
    /// <param name="cancellationToken">Stops the load.</param>
    /// <exception cref="EngineLoadException">It cannot be loaded; the message says why and what helps.</exception>
    Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken);
}
