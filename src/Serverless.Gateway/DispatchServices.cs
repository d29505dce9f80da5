using Microsoft.Extensions.DependencyInjection.Extensions;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Gateway.Dispatching;
using Serverless.Gateway.Notices;
using Serverless.Leases;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts dispatchers into a host.</summary>
public static class DispatchServices
{
    /// <summary>
    /// Dispatchers for the models of the catalogue whose leases this gateway gets; the host brings queue, log, sessions and demand feed. Without leases of its own it is the only
    /// gateway.
    /// </summary>
    public static IServiceCollection AddDispatchers(this IServiceCollection services)
    {
        services.TryAddSingleton<DispatchMetrics>();
        services.TryAddSingleton<IDispatchObserver, DispatchObserver>();
        services.TryAddSingleton<ILeases, MemoryLeases>();
        services.TryAddSingleton(_ => GatewayIdentity.New("memory"));
        services.TryAddSingleton<DispatchPorts>();
        services.TryAddSingleton<DispatcherSet>();
        services.TryAddSingleton<ModelMetrics>();
        services.TryAddSingleton<DeadLetterMetrics>();
        services.AddHostedService<DispatchService>();
        services.AddHostedService<DeadLetterWatch>();
        services.AddHostedService(provider => ActivatorUtilities.CreateInstance<CapacityNotices>(provider, (Func<ModelName, bool>)provider.GetRequiredService<DispatcherSet>().Dispatches));
        services.AddHealthChecks().AddCheck<LeaseCheck>("lease", tags: [ProbeServices.Ready]);
        return services;
    }
}
