using Microsoft.Extensions.Hosting;
using Serverless.Scaling;

namespace Serverless.Scaler.Keda;

/// <summary>Keeps the plans up to date for as long as the host runs.</summary>
internal sealed class PlanningService(ScalePlans plans) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => plans.RunAsync(stoppingToken);
}
