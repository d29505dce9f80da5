using Microsoft.Extensions.DependencyInjection.Extensions;
using Serverless.Dispatching;
using Serverless.Gateway.Dispatching;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts dispatchers into a host.</summary>
public static class DispatchServices
{
    /// <summary>A dispatcher per model of the catalogue; the host brings queue, log, sessions and demand feed.</summary>
    public static IServiceCollection AddDispatchers(this IServiceCollection services)
    {
        services.TryAddSingleton<DispatchMetrics>();
        services.TryAddSingleton<IDispatchObserver, DispatchObserver>();
        services.TryAddSingleton<DispatcherSet>();
        services.AddHostedService<DispatchService>();
        return services;
    }
}
