using Serverless.Catalog;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>The decisions taken, newest last, bounded per pool: what <c>explain</c> and the admin face read. Thread-safe.</summary>
public interface IScaleJournal
{
    /// <summary>The newest decision of a pool, or null.</summary>
    ScaleDecision? Latest(PoolName pool);

    /// <summary>The kept decisions of a pool, oldest first.</summary>
    IReadOnlyList<ScaleDecision> History(PoolName pool);
}
