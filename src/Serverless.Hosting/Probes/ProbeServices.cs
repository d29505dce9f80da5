using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Hosting.Probes;
using Serverless.Hosting.Telemetry;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>The probes of every process: <c>/healthz</c>, whether to restart it, and <c>/readyz</c>, whether to send it work (docs/metrics.md says what either means).</summary>
public static class ProbeServices
{
    /// <summary>Tag of the checks that say whether the process must be restarted: none may ask a foreign part.</summary>
    public const string Live = "live";

    /// <summary>Tag of the checks that say whether work may be sent to it.</summary>
    public const string Ready = "ready";

    /// <summary>
    /// The checks that every process has: not stopping, its loops do their work, and its dependencies do theirs. <paramref name="withoutDependencies"/> says what it is worth without
    /// them: <see cref="HealthStatus.Unhealthy"/> where it could serve nothing, <see cref="HealthStatus.Degraded"/> where it is still of use.
    /// </summary>
    public static IHealthChecksBuilder AddProbes(this IServiceCollection services, HealthStatus withoutDependencies)
    {
        services.AddSupervisedLoops();
        services.TryAddSingleton<DependencyMetrics>();
        services.TryAddSingleton<DependencyMonitor>();
        services.TryAddSingleton<ProbeLog>();
        services.AddHostedService(provider => provider.GetRequiredService<DependencyMonitor>());
        return services.AddHealthChecks()
            .AddCheck<LifetimeCheck>(ProbeLog.Process, tags: [Ready])
            .AddCheck<LoopsCheck>("loops", tags: [Ready])
            .Add(new HealthCheckRegistration("dependencies", provider => provider.GetRequiredService<DependencyMonitor>(), withoutDependencies, [Ready]));
    }

    /// <summary>A part that this process needs; several calls for one change nothing.</summary>
    public static IServiceCollection AddDependency<T>(this IServiceCollection services)
        where T : class, IDependency
    {
        if (services.Any(service => service.ServiceType == typeof(DependencyOf<T>))) return services;
        return services.AddSingleton<DependencyOf<T>>().AddSingleton<IDependency>(provider => provider.GetRequiredService<T>());
    }

    /// <summary>Maps both probes; they ask for no key and say nothing that is not in the log.</summary>
    public static IEndpointRouteBuilder MapProbes(this IEndpointRouteBuilder routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        routes.MapHealthChecks("/healthz", Options(Live, "ok")).AllowAnonymous();
        routes.MapHealthChecks("/readyz", Options(Ready, "ready")).AllowAnonymous();
        return routes;
    }

    private static HealthCheckOptions Options(string tag, string healthy) => new() { Predicate = check => check.Tags.Contains(tag), ResponseWriter = (http, report) => WriteAsync(http, report, healthy) };

    // One line that scripts compare, then a line for each check that has something to say.
    private static Task WriteAsync(HttpContext http, HealthReport report, string healthy)
    {
        http.Response.ContentType = "text/plain; charset=utf-8";
        var lines = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => $"{entry.Key}: {entry.Value.Description ?? entry.Value.Exception?.GetType().Name}");
        http.RequestServices.GetService<ProbeLog>()?.Answered(healthy, report);
        return http.Response.WriteAsync(string.Join('\n', lines.Prepend(report.Status == HealthStatus.Unhealthy ? $"not {healthy}" : healthy)), http.RequestAborted);
    }

    /// <summary>Marks a dependency as registered.</summary>
    private sealed class DependencyOf<T>;
}
