using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Configuration;

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

    /// <summary>The same for a process that knows no keys: only for this machine, and on the listener of <see cref="MetricsOptions.Url"/>, which serves nothing else.</summary>
    public static WebApplication MapClosedMetrics(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        var port = app.Services.GetRequiredService<IOptions<MetricsOptions>>().Value.Url?.Port;
        app.Use((http, next) =>
        {
            var (isMetrics, isTheirs) = (http.Request.Path.Equals("/metrics", StringComparison.OrdinalIgnoreCase), http.Connection.LocalPort == port);
            if (isMetrics ? isTheirs || LocalCalls.IsLocal(http) : !isTheirs) return next(http);

            http.Response.StatusCode = isMetrics ? StatusCodes.Status403Forbidden : StatusCodes.Status404NotFound;
            return isMetrics ? http.Response.WriteAsync($"Metrics are read on this machine; set {MetricsOptions.Section}:{nameof(MetricsOptions.Url)} for others.\n", http.RequestAborted) : Task.CompletedTask;
        });
        app.MapServerlessMetrics();
        return app;
    }
}
