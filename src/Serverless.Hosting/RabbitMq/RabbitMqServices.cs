using Microsoft.Extensions.DependencyInjection.Extensions;
using Serverless.Hosting.RabbitMq;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Hosting.RabbitMq.DeadLetters;
using Serverless.Hosting.RabbitMq.Queues;
using Serverless.Requests;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts the request queue of the distributed shape into a host.</summary>
public static class RabbitMqServices
{
    /// <summary>The request queue and the dead letters over RabbitMQ, with options from <c>RabbitMq</c>. The host brings <see cref="QueueLimits"/>, the demand feed, and the catalogue.</summary>
    public static IServiceCollection AddRabbitMqQueue(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddCheckedOptions<RabbitMqOptions, RabbitMqOptions.Validator>(RabbitMqOptions.Section);
        services.TryAddSingleton<BrokerDependency>();
        services.AddDependency<BrokerDependency>();
        services.TryAddSingleton<BrokerChecks>();
        services.TryAddSingleton<RabbitMqLink>();
        services.TryAddSingleton<RabbitMqPublisher>();
        services.TryAddSingleton<OutstandingBytes>();
        services.TryAddSingleton<DeadLetterQueue>();
        services.TryAddSingleton<EnqueueBounds>();
        services.TryAddSingleton<Arrivals>();
        services.AddSingleton<IRequestQueue, RabbitMqRequestQueue>();
        services.AddSingleton<IDeadLetters, RabbitMqDeadLetters>();
        services.AddHostedService<RabbitMqStart>();
        return services;
    }
}
