using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Serverless.Hosting.Telemetry;
using Serverless.Loops;

namespace Serverless.Hosting.Probes;

/// <summary>Asks each dependency once a second, so that a probe is answered at once whatever hangs. Thread-safe.</summary>
internal sealed class DependencyMonitor(IEnumerable<IDependency> parts, DependencyMetrics metrics, Supervisor supervisor, TimeProvider time) : BackgroundService, IHealthCheck
{
    /// <summary>What is away for less is no reason to send clients elsewhere: a failover takes as long.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    private readonly IDependency[] _dependencies = [.. parts.DistinctBy(part => part.Name, StringComparer.Ordinal)];
    private readonly ConcurrentDictionary<string, (string Fault, long Since)> _faults = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _asked = new(StringComparer.Ordinal);

    /// <summary>Which parts have been away for longer than <see cref="Grace"/>, and why; and those that were never asked, right after the start.</summary>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var away = _faults.Where(fault => time.GetElapsedTime(fault.Value.Since) >= Grace).OrderBy(fault => fault.Key, StringComparer.Ordinal)
            .Select(fault => $"{fault.Key} {fault.Value.Fault}")
            .Concat(_dependencies.Where(part => !_asked.ContainsKey(part.Name)).Select(part => $"{part.Name} is not asked yet")).ToArray();
        return Task.FromResult(away.Length == 0 ? HealthCheckResult.Healthy() : new HealthCheckResult(context.Registration.FailureStatus, string.Join("; ", away)));
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(_dependencies.Select(dependency =>
            supervisor.RunAsync("dependency", token => WatchAsync(dependency, token), stoppingToken, dependency.Name)));

    private async Task WatchAsync(IDependency dependency, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        do
        {
            if (await AskAsync(dependency, stoppingToken) is { } fault) _faults.AddOrUpdate(dependency.Name, (fault, time.GetTimestamp()), (_, known) => known with { Fault = fault });
            else _faults.TryRemove(dependency.Name, out _);
            metrics.Asked(dependency.Name, !_faults.ContainsKey(dependency.Name));
            _asked[dependency.Name] = true;
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task<string?> AskAsync(IDependency dependency, CancellationToken stoppingToken)
    {
        using var limit = new CancellationTokenSource(AnswerLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stoppingToken);
        try
        {
            return await dependency.FindFaultAsync(either.Token);
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            return exception is OperationCanceledException ? "does not answer" : exception.GetType().Name;
        }
    }
}

/// <summary>Which dependencies were up when last asked.</summary>
internal sealed class DependencyMetrics
{
    private readonly ConcurrentDictionary<string, bool> _up = new(StringComparer.Ordinal);

    public DependencyMetrics(IMeterFactory meters) => meters.Create("Serverless.Dependencies").CreateObservableGauge(
        "serverless.dependency.up",
        () => _up.Select(part => new Measurement<int>(part.Value ? 1 : 0, new KeyValuePair<string, object?>("dependency", part.Key))),
        "{dependency}",
        "Whether a part that this process needs did what it is needed for when it was last asked: 1 or 0.");

    public void Asked(string dependency, bool up) => _up[dependency] = up;
}
