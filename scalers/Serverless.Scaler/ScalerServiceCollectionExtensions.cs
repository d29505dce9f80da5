using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Leases;
using Serverless.Scaler.Embedded;
using Serverless.Scaler.Keda;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the scaler.</summary>
public static class ScalerServiceCollectionExtensions
{
    /// <summary>
    /// Plans, and the gRPC service that KEDA calls. Needs the catalogue, the feeds of demand and capacity and, where the broker shall be asked about silent dispatchers, the queue. With
    /// <see cref="ILeases"/> and <see cref="IPlanFeed"/> of a store many of them serve one plan; without, this one plans for itself.
    /// </summary>
    public static IServiceCollection AddScaler(this IServiceCollection services)
    {
        services.AddSupervisedLoops();
        services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = 64 * 1024); // a reference to a pool, from whoever reaches the port
        services.AddGrpcHealthChecks(options =>
        {
            options.Services.Map(ScalerHealth.Fresh, check => check.Name == nameof(PlanAgeCheck));
            options.Services.Map(ScalerHealth.Answers, check => check.Name == nameof(PlanKnownCheck));
            options.Services.Map(ScalerHealth.Live, check => check.Name == ScalerHealth.Live);
        }).AddCheck(ScalerHealth.Live, () => HealthCheckResult.Healthy()).AddCheck<PlanAgeCheck>(nameof(PlanAgeCheck)).AddCheck<PlanKnownCheck>(nameof(PlanKnownCheck));

        services.TryAddSingleton(new PlannerOptions());
        services.TryAddSingleton<PoolPlanner>();
        services.TryAddSingleton<ILeases, MemoryLeases>();
        services.TryAddSingleton<IPlanFeed, MemoryPlanFeed>();
        services.TryAddSingleton<BelievedDemand>();
        services.TryAddSingleton<PlanWriter>();
        services.TryAddSingleton(provider => ActivatorUtilities.CreateInstance<LeasedPlanner>(provider, $"{Environment.MachineName}/{Guid.NewGuid():N}"));
        services.TryAddSingleton<IScaleObserver, ScaleLog>();
        services.TryAddSingleton<ScalePlans>();
        services.TryAddSingleton<PlanFollower>();
        services.TryAddSingleton<IScaleJournal>(provider => provider.GetRequiredService<ScalePlans>());
        services.TryAddSingleton<ScalerMetrics>();
        services.TryAddSingleton<ExternalScalerService>();
        services.AddHostedService<ScalerLoops>();
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
