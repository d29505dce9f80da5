using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;

namespace Serverless.Hosting.Telemetry;

/// <summary>Where metrics are read.</summary>
public static class TelemetryRoutes
{
    /// <summary>Maps <c>GET /metrics</c> in Prometheus' format; <c>AddServerlessTelemetry</c> must have been called.</summary>
    public static IEndpointRouteBuilder MapServerlessMetrics(this IEndpointRouteBuilder routes)
    {
        routes.MapPrometheusScrapingEndpoint("/metrics");
        return routes;
    }
}
