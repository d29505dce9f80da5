using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Scaling.Plans;
using Serverless.Worker.Local;
using Serverless.Worker.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the worker's side.</summary>
public static class WorkerServiceCollectionExtensions
{
    /// <summary>Replicas in this process, and the engines they may run.</summary>
    public static IServiceCollection AddLocalReplicas(this IServiceCollection services)
    {
        services.AddReplicas();
        services.TryAddSingleton<LocalReplicas>();
        services.TryAddSingleton<IScaleTarget>(provider => provider.GetRequiredService<LocalReplicas>());
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<LocalReplicas>());
        return services;
    }

    /// <summary>This process is one replica of the pool that <c>Worker:Pool</c> names. The host brings the ports: catalogue, dispatcher connector and log.</summary>
    public static IServiceCollection AddWorker(this IServiceCollection services)
    {
        services.AddReplicas();
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.AddOptions<WorkerOptions>().ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<WorkerOptions>, WorkerOptions.Validator>());
        services.AddOptions<HostOptions>().Configure<IOptions<WorkerOptions>>((host, worker) => host.ShutdownTimeout = worker.Value.DrainTimeout + TimeSpan.FromSeconds(5));
        services.TryAddSingleton<WorkerService>();
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<WorkerService>());
        return services;
    }

    private static void AddReplicas(this IServiceCollection services)
    {
        services.AddEngines();
        services.AddModelStore();
        services.TryAddSingleton<WorkerMetrics>();
        services.TryAddSingleton<ReplicaParts>();
        services.AddOptions<WorkerOptions>().BindConfiguration(WorkerOptions.Section);
    }
}
