using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Loops;

namespace Serverless.Hosting.Probes;

/// <summary>Whether the loops of this process do their work: one that fails whenever it is run does not.</summary>
internal sealed class LoopsCheck(Supervisor supervisor) : IHealthCheck
{
    private const int Named = 5;

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var failing = supervisor.Loops.Where(loop => loop.IsFailing).Select(loop => $"{loop.Name} {loop.Subject}".TrimEnd()).Order(StringComparer.Ordinal).ToArray();
        return Task.FromResult(failing.Length == 0
            ? HealthCheckResult.Healthy()
            : new HealthCheckResult(context.Registration.FailureStatus, $"{failing.Length} loops fail whenever they are run: {string.Join(", ", failing.Take(Named))}"));
    }
}
