using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using Serverless.Hosting.Telemetry;
using Serverless.Loops;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Collects the metrics of this process.</summary>
public static class TelemetryServices
{
    /// <summary>Combinations of labels that an instrument of pools keeps; OpenTelemetry's own 2,000 are 667 pools with three states each. A thousand models with pools of six classes fit.</summary>
    internal const int MostSeries = 20_000;

    /// <summary>The same of any other instrument of ours: a thousand models with what else labels them. Room for each is taken at once, some 110 bytes.</summary>
    private const int MostOfModels = 6_000;

    /// <summary>Collects every meter named <c>Serverless.*</c>, and the runtime's and Kestrel's own, for Prometheus to read.</summary>
    public static IServiceCollection AddServerlessTelemetry(this IServiceCollection services)
    {
        services.TryAddSingleton(new ProcessIdentity("serverless"));
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter("Serverless.*", "System.Runtime", "Microsoft.AspNetCore.Server.Kestrel")
            .AddView(static instrument => instrument.Meter.Name.StartsWith("Serverless.", StringComparison.Ordinal) ? new MetricStreamConfiguration { CardinalityLimit = SeriesOf(instrument.Name) } : null)
            .AddPrometheusExporter());
        services.ConfigureOpenTelemetryMeterProvider((provider, metrics) => metrics.ConfigureResource(resource =>
        {
            // OTEL_SERVICE_NAME is an operator's word for one of many, and counts.
            if (string.IsNullOrEmpty(provider.GetRequiredService<IConfiguration>()["OTEL_SERVICE_NAME"]))
                resource.AddService(provider.GetRequiredService<ProcessIdentity>().Name, serviceVersion: ProcessIdentity.Version, autoGenerateServiceInstanceId: true);
        }));
        return services.AddSupervisedLoops();
    }

    private static int SeriesOf(string instrument) =>
        instrument.StartsWith("serverless.pool.", StringComparison.Ordinal) || instrument.StartsWith("serverless.scaler.", StringComparison.Ordinal) ? MostSeries : MostOfModels;

    /// <summary>The listener for metrics of <see cref="MetricsOptions"/>, where one is set. With <see cref="TelemetryRoutes.MapClosedMetrics"/>.</summary>
    public static IServiceCollection AddClosedMetrics(this IServiceCollection services)
    {
        services.AddCheckedOptions<MetricsOptions, MetricsOptions.Validator>(MetricsOptions.Section);
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<MetricsOptions>>((kestrel, metrics) =>
        {
            if (metrics.Value.Url is { } url) kestrel.Listen(IPAddress.Parse(url.DnsSafeHost), url.Port, endpoint => endpoint.Protocols = HttpProtocols.Http1);
        });
        return services;
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
