using Microsoft.Extensions.Hosting;
using Serverless.Loops;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>What the scaler does beside answering: it follows the plan, asks the broker about silent dispatchers, and plans whenever it has the planner's lease.</summary>
internal sealed class ScalerLoops : BackgroundService
{
    private readonly PlanFollower _follower;
    private readonly LeasedPlanner _planner;
    private readonly BelievedDemand _demand;
    private readonly Supervisor _supervisor;

    /// <summary>The metrics are asked for so that they exist from the start, not from KEDA's first call on.</summary>
    public ScalerLoops(PlanFollower follower, LeasedPlanner planner, BelievedDemand demand, Supervisor supervisor, ScalerMetrics metrics)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        (_follower, _planner, _demand, _supervisor) = (follower, planner, demand, supervisor);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        _follower.RunAsync(stoppingToken),
        _planner.RunAsync(stoppingToken),
        _supervisor.RunAsync("broker-depth", _demand.RunAsync, stoppingToken));
}
