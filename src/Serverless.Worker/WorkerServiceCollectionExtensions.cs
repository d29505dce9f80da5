using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Serverless.Scaling;
using Serverless.Worker.Engines;
using Serverless.Worker.Local;
using Serverless.Worker.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the worker's side.</summary>
public static class WorkerServiceCollectionExtensions
{
    /// <summary>Replicas in this process, and the engines they may run.</summary>
    public static IServiceCollection AddLocalReplicas(this IServiceCollection services)
    {
        services.TryAddSingleton<WorkerMetrics>();
        services.TryAddSingleton<EngineCatalog>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEngineFactory, InProcessEngineFactory>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEngineFactory, SimulatedEngineFactory>());
        services.TryAddSingleton<LocalReplicas>();
        services.TryAddSingleton<IScaleTarget>(provider => provider.GetRequiredService<LocalReplicas>());
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<LocalReplicas>());
        return services;
    }
}
