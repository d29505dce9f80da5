using Serverless.Catalog;

namespace Serverless.Scaling.Plans;

/// <summary>Is told of what becomes of pools, for the log. Return at once.</summary>
public interface IScaleObserver
{
    /// <summary>A pool is to have another number of replicas than before.</summary>
    /// <param name="pool">Which.</param>
    /// <param name="from">Before.</param>
    /// <param name="to">From now on.</param>
    /// <param name="reason">Why, in a few words.</param>
    void Scaled(PoolName pool, int from, int to, string reason);
}
