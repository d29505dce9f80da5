using OpenTelemetry.Metrics;

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
        return services;
    }
}
