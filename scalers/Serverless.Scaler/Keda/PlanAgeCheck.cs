using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>Healthy while a planner is heard of; answers go on being served from the last plan when none is.</summary>
internal sealed class PlanAgeCheck(ScalePlans plans) : IHealthCheck
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(plans.Age switch
    {
        null => new HealthCheckResult(context.Registration.FailureStatus, "No planner has been heard of yet."),
        { } age when age > Limit => new HealthCheckResult(context.Registration.FailureStatus, $"No planner has been heard of for {age.TotalSeconds:F0} s; {Limit.TotalSeconds:F0} s are allowed."),
        _ => HealthCheckResult.Healthy(),
    });
}
