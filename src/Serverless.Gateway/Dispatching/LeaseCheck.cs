using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Dispatching;

namespace Serverless.Gateway.Dispatching;

/// <summary>Ready while this gateway holds its own lease: without it the others end what its connections wait for.</summary>
internal sealed class LeaseCheck(DispatcherSet dispatchers) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(
        dispatchers.State.HoldsLease ? HealthCheckResult.Healthy() : new HealthCheckResult(context.Registration.FailureStatus, "this gateway does not hold its own lease"));
}
