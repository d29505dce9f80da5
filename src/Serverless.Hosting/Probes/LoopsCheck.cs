using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Loops;

namespace Serverless.Hosting.Probes;

/// <summary>Whether the loops of this process do their work: one that fails whenever it is run does not. Probes are open to strangers, so it tells kinds of loops; for whom they work (models, parts) and why they fail is in the log.</summary>
internal sealed class LoopsCheck(Supervisor supervisor) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var failing = supervisor.Loops.Where(loop => loop.IsFailing).Select(loop => loop.Name).ToArray();
        return Task.FromResult(failing.Length == 0
            ? HealthCheckResult.Healthy()
            : new HealthCheckResult(context.Registration.FailureStatus, $"{failing.Length} loops fail whenever they are run, the log says which and why: {string.Join(", ", failing.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))}"));
    }
}
