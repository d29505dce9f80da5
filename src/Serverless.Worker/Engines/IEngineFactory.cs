using Serverless.Catalog;

namespace Serverless.Worker.Engines;

/// <summary>Loads engines of one backend. A new backend is one implementation and its registration.</summary>
public interface IEngineFactory
{
    /// <summary>The backend's name in manifests.</summary>
    string Backend { get; }

    /// <summary>Loads an engine for a replica of the pool.</summary>
    /// <param name="pool">The pool: its model, its flavor and the flavor's parameters.</param>
    /// <param name="progress">Told the share that is done, 0 to 1.</param>
    /// <param name="cancellationToken">Stops the load.</param>
    /// <exception cref="EngineLoadException">It cannot be loaded; the message says why and what helps.</exception>
    Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken);
}
