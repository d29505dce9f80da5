using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>A line for each pool that scales, and why. All scalers see every step; the one that plans tells it.</summary>
internal sealed partial class ScaleLog(LeasedPlanner planner, ILogger<ScaleLog> logger) : IScaleObserver
{
    public void Scaled(PoolName pool, int from, int to, string reason) => LogScaled(planner.Leads ? LogLevel.Information : LogLevel.Debug, pool, from, to, reason);

    [LoggerMessage("{Pool} {From} → {To}: {Reason}")]
    private partial void LogScaled(LogLevel level, PoolName pool, int from, int to, string reason);
}
