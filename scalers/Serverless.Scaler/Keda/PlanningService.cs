using Microsoft.Extensions.Hosting;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>Plans whenever this scaler has the planner's lease.</summary>
internal sealed class PlanningService(LeasedPlanner planner) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => planner.RunAsync(stoppingToken);
}
