using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Serverless.Worker.Local;

/// <summary>Ready while the replica of this process serves.</summary>
internal sealed class ReplicaCheck(WorkerService worker) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(
        worker.Phase == ReplicaPhase.Ready ? HealthCheckResult.Healthy() : new HealthCheckResult(context.Registration.FailureStatus, $"is {worker.Phase}".ToLowerInvariant()));
}
