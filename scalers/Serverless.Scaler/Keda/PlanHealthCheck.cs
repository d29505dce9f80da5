using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Scaling;

namespace Serverless.Scaler.Keda;

/// <summary>Healthy while plans are made; answers go on being served from the last one when it is not.</summary>
internal sealed class PlanHealthCheck(ScalePlans plans, TimeProvider time) : IHealthCheck
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (plans.PlannedAt is not { } at) return Task.FromResult(HealthCheckResult.Unhealthy("No plan has been made yet."));

        var age = time.GetUtcNow() - at;
        return Task.FromResult(age <= Limit ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy($"The last plan is {age.TotalSeconds:F0} s old; {Limit.TotalSeconds:F0} s are allowed."));
    }
}
