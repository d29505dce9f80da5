using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Serverless.Scaler.Embedded;
using Serverless.Scaler.Keda;
using Serverless.Scaling;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the scaler.</summary>
public static class ScalerServiceCollectionExtensions
{
    /// <summary>Plans, and the gRPC service that KEDA calls.</summary>
    public static IServiceCollection AddScaler(this IServiceCollection services)
    {
        services.AddGrpc();
        services.AddGrpcHealthChecks().AddCheck<PlanHealthCheck>("plan");
        services.TryAddSingleton(new PlannerOptions());
        services.TryAddSingleton<PoolPlanner>();
        services.TryAddSingleton<ScalePlans>();
        services.TryAddSingleton<IScaleJournal>(provider => provider.GetRequiredService<ScalePlans>());
        services.TryAddSingleton<ScalerMetrics>();
        services.TryAddSingleton<ExternalScalerService>();
        services.AddHostedService<PlanningService>();
        return services;
    }

    /// <summary>The stand-in for KEDA and the HPA on one machine; needs an <see cref="IScaleTarget"/>.</summary>
    public static IServiceCollection AddLocalScaler(this IServiceCollection services, LocalScalerOptions options)
    {
        services.AddSingleton(options);
        services.AddHostedService<LocalScaler>();
        return services;
    }

    /// <summary>Maps the gRPC service and its health.</summary>
    public static IEndpointRouteBuilder MapScaler(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<ExternalScalerService>();
        endpoints.MapGrpcHealthChecksService();
        return endpoints;
    }
}
