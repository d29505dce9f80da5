using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>Healthy once there is a plan to answer with, however old.</summary>
internal sealed class PlanKnownCheck(ScalePlans plans) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(plans.Known.IsCompleted ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("There is no plan yet."));
}
