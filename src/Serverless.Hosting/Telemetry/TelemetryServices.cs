using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenTelemetry.Metrics;
using Serverless.Hosting.Telemetry;
using Serverless.Loops;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Collects the metrics of this process.</summary>
public static class TelemetryServices
{
    /// <summary>Collects every meter named <c>Serverless.*</c>, and the runtime's and Kestrel's own, for Prometheus to read.</summary>
    public static IServiceCollection AddServerlessTelemetry(this IServiceCollection services)
    {
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter("Serverless.*", "System.Runtime", "Microsoft.AspNetCore.Server.Kestrel")
            .AddPrometheusExporter());
        return services.AddSupervisedLoops();
    }

    /// <summary>The one <see cref="Supervisor"/> of this process, whose failures are logged and counted.</summary>
    public static IServiceCollection AddSupervisedLoops(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<LoopMetrics>();
        services.TryAddSingleton<ILoopObserver, LoopObserver>();
        services.TryAddSingleton<Supervisor>();
        return services;
    }
}
