using System.Runtime.CompilerServices;

namespace Serverless.Catalog;

/// <summary>Port: where the catalogue comes from. Files in the embedded shape; Redis, or custom resources in a cluster.</summary>
public interface ICatalogSource
{
    /// <summary>The catalogue now. Never null, never throws: a bad change keeps the last good one and is reported by the source.</summary>
    ModelCatalog Current { get; }

    /// <summary>The catalogue now and whenever it changes; a slow reader sees only the latest. A source that never changes need not say more than the first.</summary>
    async IAsyncEnumerable<ModelCatalog> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return Current;
        await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
    }
}
