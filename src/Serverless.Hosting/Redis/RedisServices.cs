using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.Demand;
using Serverless.Hosting.Manifests;
using Serverless.Hosting.Redis.Catalog;
using Serverless.Hosting.Redis.Connection;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Hosting.Redis.Leases;
using Serverless.Hosting.Redis.Log;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>What the distributed shape keeps in Redis; see <see cref="RedisOptions"/>. Each call adds one port, so that a process has what it needs.</summary>
public static class RedisServices
{
    /// <summary><see cref="IRequestLog"/>.</summary>
    public static IServiceCollection AddRedisRequestLog(this IServiceCollection services)
    {
        services.AddRedis().TryAddSingleton<RedisFollowers>();
        services.TryAddSingleton<IRequestLog, RedisRequestLog>();
        return services;
    }

    /// <summary><see cref="ILeases"/>.</summary>
    public static IServiceCollection AddRedisLeases(this IServiceCollection services)
    {
        services.AddRedis().TryAddSingleton<ILeases, RedisLeases>();
        return services;
    }

    /// <summary><see cref="IDemandFeed"/> and <see cref="ICapacityFeed"/>.</summary>
    public static IServiceCollection AddRedisFeeds(this IServiceCollection services)
    {
        services.AddRedis();
        services.AddRedisPart<RedisDemandFeed>().TryAddSingleton<IDemandFeed>(provider => provider.GetRequiredService<RedisDemandFeed>());
        services.AddRedisPart<RedisCapacityFeed>().TryAddSingleton<ICapacityFeed>(provider => provider.GetRequiredService<RedisCapacityFeed>());
        return services;
    }

    /// <summary><see cref="IPlanFeed"/>, and the leases by which one of all scalers writes it.</summary>
    public static IServiceCollection AddRedisPlans(this IServiceCollection services)
    {
        services.AddRedisLeases().TryAddSingleton<IPlanFeed, RedisPlanFeed>();
        return services;
    }

    /// <summary><see cref="IScaleJournal"/>: the decisions that scalers publish; a scaler publishes by <see cref="RedisScaleJournal"/> itself.</summary>
    public static IServiceCollection AddRedisScaleJournal(this IServiceCollection services)
    {
        services.AddRedis();
        if (services.Any(service => service.ServiceType == typeof(RedisScaleJournal))) return services;
        services.AddSingleton(provider => new RedisScaleJournal(provider.GetRequiredService<RedisConnection>(), provider.GetRequiredService<Supervisor>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisScaleJournal>>()));
        services.AddSingleton<IRedisPart>(provider => provider.GetRequiredService<RedisScaleJournal>());
        services.TryAddSingleton<IScaleJournal>(provider => provider.GetRequiredService<RedisScaleJournal>());
        return services;
    }

    /// <summary>Tells the state of pools by the workers that this process's dispatchers see, where nobody who runs replicas does. After <see cref="AddRedisFeeds"/>.</summary>
    public static IServiceCollection AddCapacityFromDemand(this IServiceCollection services) => services.AddSingleton<IDemandFeed>(provider => new CapacityFromDemand(
        provider.GetRequiredService<RedisDemandFeed>(), provider.GetRequiredService<ICapacityFeed>(), provider.GetRequiredService<ICatalogSource>()));

    /// <summary><see cref="ICatalogSource"/>: the manifests that another process, or this one, publishes.</summary>
    public static IServiceCollection AddRedisCatalog(this IServiceCollection services)
    {
        services.AddRedis();
        services.AddEngines();
        services.AddRedisPart<RedisCatalogSource>().TryAddSingleton<ICatalogSource>(provider => provider.GetRequiredService<RedisCatalogSource>());
        return services;
    }

    /// <summary>Publishes the manifests of <paramref name="folder"/> while this process runs. Call it before <see cref="AddRedisCatalog"/> where one process does both: parts start in this order.</summary>
    public static IServiceCollection AddRedisCatalogPublisher(this IServiceCollection services, string folder)
    {
        services.AddRedis();
        services.AddEngines();
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<RedisCatalogPublisher>(provider, folder, (IModelInspector)new GgufInspector()));
        services.AddSingleton<IRedisPart>(provider => provider.GetRequiredService<RedisCatalogPublisher>());
        services.AddHostedService(provider => provider.GetRequiredService<RedisCatalogPublisher>());
        return services;
    }

    private static IServiceCollection AddRedis(this IServiceCollection services)
    {
        if (services.Any(service => service.ServiceType == typeof(RedisConnection))) return services;

        services.AddCheckedOptions<RedisOptions, RedisOptions.Validator>(RedisOptions.Section);
        services.AddSupervisedLoops();
        services.AddSingleton<RedisConnection>().AddDependency<RedisConnection>();
        services.AddHostedService<RedisStartup>();
        return services;
    }

    private static IServiceCollection AddRedisPart<T>(this IServiceCollection services)
        where T : class, IRedisPart
    {
        if (services.Any(service => service.ServiceType == typeof(T))) return services;
        return services.AddSingleton<T>().AddSingleton<IRedisPart>(provider => provider.GetRequiredService<T>());
    }
}
