using Microsoft.Extensions.Hosting;
using Serverless.Loops;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>What every scaler does beside answering: it follows the plan, whoever makes it, and asks the broker about silent dispatchers.</summary>
internal sealed class ScalerLoops : BackgroundService
{
    private readonly PlanFollower _follower;
    private readonly BelievedDemand _demand;
    private readonly Supervisor _supervisor;

    /// <summary>The metrics are asked for so that they exist from the start, not from KEDA's first call on.</summary>
    public ScalerLoops(PlanFollower follower, BelievedDemand demand, Supervisor supervisor, ScalerMetrics metrics)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        (_follower, _demand, _supervisor) = (follower, demand, supervisor);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        _follower.RunAsync(stoppingToken),
        _supervisor.RunAsync("broker-depth", _demand.RunAsync, stoppingToken));
}

/// <summary>Plans whenever this scaler has the planner's lease.</summary>
internal sealed class PlanningService(LeasedPlanner planner) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => planner.RunAsync(stoppingToken);
}
